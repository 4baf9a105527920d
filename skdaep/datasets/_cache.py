"""Files of public archives: downloaded once, verified at every call, kept under the data home.

`astropy.utils.data` names its copies by a hash of the URL, so none can be put there by hand, and checks no content;
both are needed here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
import warnings
from contextlib import contextmanager
from fnmatch import fnmatchcase
from http.client import HTTPException
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..exceptions import DatasetError, UnverifiedDownloadWarning
from ..storage import replacing

HUB = "https://huggingface.co"
N_TRIES = 3
DELAY = 1.0  # seconds before the second try, doubled before each further one
TIMEOUT = 60.0  # seconds without a byte
CHUNK = 2**20
MOST_PAGES = 10_000  # of a listing, a thousand files each


class Remote(NamedTuple):
    """A file of an archive and its place under the data home."""

    url: str
    path: str
    sha256: str | None = None  # None: not published
    size: int | None = None  # bytes; what a file is held to if no checksum is published, else told to the user

    @property
    def held_to(self) -> int | None:
        """The bytes that the file must have, where nothing better is known of it."""
        return self.size if self.sha256 is None else None


def get_data_home(data_home=None):
    """Return the folder in which downloaded data are kept.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder. None: the environment variable ``SKDAEP_HOME`` if it is set, else ``skdaep`` in the user's cache
        (``~/.cache``, ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on Windows). It is made at the first download.

    Returns
    -------
    data_home : pathlib.Path
        The folder.

    Examples
    --------
    >>> from skdaep.datasets import get_data_home
    >>> get_data_home("/data/archives").name
    'archives'
    """
    return Path(data_home or os.environ.get("SKDAEP_HOME") or _user_cache() / "skdaep").expanduser()


def _user_cache() -> Path:
    if sys.platform == "darwin":
        return Path("~/Library/Caches")
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local"))
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")


def require(module: str, caller: str):
    """Import a module of an extra, or say how to install it."""
    package = module.partition(".")[0]
    extra = "lightkurve" if package == "lightkurve" else "data"
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"{caller} needs {package}: pip install skdaep[{extra}]") from error


# --- one file ---------------------------------------------------------------------------------------


def local_copy(remote: Remote, data_home=None, download: bool = True) -> Path:
    """Return the path of a verified copy, downloaded if there is none.

    A published checksum is what the file is held to. Where none is published, an `UnverifiedDownloadWarning` says so;
    that of the first copy seen, which must have the published size, is written beside it, and every later call holds
    the file to that.

    Raises
    ------
    DatasetError
        If there is no copy and none can be had, or a copy is not what it should be.
    """
    inside = PurePosixPath(remote.path)
    if inside.is_absolute() or ".." in inside.parts:
        raise DatasetError(f"{remote.path!r} would lie outside the data home.")
    path = get_data_home(data_home) / inside
    if path.exists():
        _verify(path, remote)
    elif download:
        _download(remote, path)
    else:
        raise DatasetError(_by_hand(remote, path, "and download=False"))
    return path


def _verify(path: Path, remote: Remote) -> None:
    if remote.held_to not in (None, n_bytes := path.stat().st_size):
        raise DatasetError(
            f"{path} has {n_bytes} bytes, not the {remote.size} published. Delete it to have it downloaded again."
        )
    digest, record = _sha256(path), _record(path)
    if remote.sha256 is not None:
        expected, source = remote.sha256, "the published checksum"
    elif record.exists():
        expected, source = record.read_text().partition(" ")[0], f"what it was when first seen ({record.name})"
    else:
        return _remember(path, digest)
    if digest != expected:
        raise DatasetError(
            f"{path} has sha256 {digest}, which is not {source}, {expected}. Delete it to have it downloaded again."
        )


def _record(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _remember(path: Path, digest: str) -> None:
    _record(path).write_text(f"{digest}  {path.name}\n")  # as sha256sum writes and checks it


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _by_hand(remote: Remote, path: Path, reason: str) -> str:
    size = "" if remote.size is None else f" ({_readable(remote.size)})"
    return (
        f"{path.name}{size} is not in {path.parent} {reason}. Download {remote.url} where there is a network and put "
        f"it at {path}, or set data_home (or SKDAEP_HOME) to a folder with {remote.path} in it."
    )


def _readable(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


# --- downloading ------------------------------------------------------------------------------------


def _download(remote: Remote, path: Path) -> None:
    """Put a verified file at `path`, or nothing at all."""
    try:
        with in_the_making(path) as part:
            _transfer(remote, part)
            if remote.held_to not in (None, n_bytes := part.stat().st_size):
                raise DatasetError(f"{remote.url} gave {n_bytes} bytes, but {remote.size} are published; not kept.")
            digest = _sha256(part)
            if remote.sha256 not in (None, digest):
                raise DatasetError(
                    f"{remote.url} gave a file with sha256 {digest}, but {remote.sha256} is published. It was not "
                    "kept: the transfer was disturbed, or the archive has changed (then delete its .listing.json)."
                )
    except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
        raise DatasetError(_by_hand(remote, path, f"and could not be downloaded: {_cause(error)}")) from error
    if remote.sha256 is None:
        _remember(path, digest)
        warnings.warn(
            f"No checksum is published of {remote.url}: what came, with sha256 {digest}, is taken for the file from "
            "now on. Compare it with what others have.",
            UnverifiedDownloadWarning,
            stacklevel=5,
        )


@contextmanager
def in_the_making(path: Path):
    """Yield the path of an empty file that takes the name `path` if all goes well, and is gone if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        yield part


def _cause(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error or type(error).__name__)


def _transfer(remote: Remote, part: Path):
    """Write the content to `part`, taking up again where an earlier try was cut off; return the answer's headers."""
    tag = None
    for tries_left in reversed(range(N_TRIES)):
        headers = {"User-Agent": "skdaep"}
        if (
            tag is not None and part.stat().st_size
        ):  # the server sends the rest, or all of it if the file is no longer the same
            headers |= {"Range": f"bytes={part.stat().st_size}-", "If-Range": tag}
        try:
            with _open(Request(remote.url, headers=headers)) as answer:
                tag = answer.headers.get("ETag")
                tag = None if tag is None or tag.startswith("W/") else tag
                _receive(answer, part, remote.held_to)
                return answer.headers
        except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
            refused = isinstance(error, HTTPError) and error.code < 500 and error.code != 429
            if refused or not tries_left:
                raise
            time.sleep(DELAY * 2 ** (N_TRIES - 1 - tries_left))


class _NoWayBack(HTTPRedirectHandler):
    """Follow redirects, but from https to https only."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise URLError(f"it was redirected to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(request: Request):
    return build_opener(_NoWayBack).open(request, timeout=TIMEOUT)


def _receive(answer, part: Path, size: int | None) -> None:
    """Write an answer to `part`; more than `size` bytes, where that is known, are not waited for."""
    resumed = answer.status == 206
    start = part.stat().st_size if resumed else 0
    sent = answer.headers.get("Content-Range", "")
    if resumed and not sent.startswith(f"bytes {start}-"):
        part.write_bytes(b"")  # begin anew
        raise ConnectionError(f"asked for the bytes from {start} on, but got {sent or 'some, nobody knows which'}")
    length = answer.headers.get("Content-Length")
    total = None if length is None else start + int(length)
    with part.open("ab" if resumed else "wb") as file, _progress(answer.url, start, total) as advance:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            advance(len(chunk))
            if size is not None and file.tell() > size:
                return
        arrived = file.tell()
    if total is not None and arrived < total:  # http.client says nothing of it
        raise ConnectionError(f"the connection was cut off after {arrived} of {total} bytes")


@contextmanager
def _progress(url: str, start: int, total: int | None):
    """Yield a function to be told of every chunk; in a terminal, and with rich, it moves a bar."""
    if find_spec("rich") is None or not sys.stderr.isatty():
        yield lambda n: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(PurePosixPath(url.partition("?")[0]).name, total=total, completed=start)
        yield lambda n: bar.advance(task, n)


# --- the Hugging Face hub ---------------------------------------------------------------------------


def hub_files(
    repository: str, pattern: str, folder: str = "", data_home=None, download: bool = True, suffixes=(".parquet",)
) -> list[Remote]:
    """Return the files of a data set on the hub whose paths match a pattern, with the checksums that the hub states.

    The listing is kept as ``.listing.json``: later calls need no network and mean the same files.
    """
    place = f"huggingface/{repository}/{folder}".rstrip("/")
    tree = f"{HUB}/api/datasets/{repository}/tree/main/{folder}".rstrip("/") + "?recursive=true"
    remote = Remote(tree, f"{place}/.listing.json")
    listing = get_data_home(data_home) / remote.path
    if download and not listing.exists():
        _download_pages(remote, listing)
    listing = local_copy(remote, data_home, download)
    files = {
        entry["path"]: entry
        for entry in _entries(listing, f"Delete {listing} to renew it: it")
        if entry["type"] == "file"
    }
    found = sorted(path for path in files if path.endswith(suffixes) and fnmatchcase(path, pattern))
    if not found:
        some = ", ".join(sorted(files)[:10]) or "no files"
        raise DatasetError(f"{repository} has no file that matches {pattern!r} (it has {len(files)}: {some}, ...).")
    return [_on_hub(repository, files[path]) for path in found]


def _download_pages(remote: Remote, path: Path) -> None:
    """Put a listing at `path`, with the entries of all its pages; each names the next in its header ``Link``."""
    url, seen, entries = remote.url, set(), []
    try:
        with in_the_making(path) as part:
            while url:
                if url in seen or len(seen) == MOST_PAGES:
                    raise DatasetError(f"The listing {remote.url} has no end: page {url} after {len(seen)} others.")
                seen.add(url)
                headers = _transfer(remote._replace(url=url), part)
                entries += _entries(part, f"What came from {url}")
                url = _next_page(url, headers.get_all("Link", []))
            part.write_text(json.dumps(entries))
    except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
        raise DatasetError(_by_hand(remote, path, f"and could not be downloaded: {_cause(error)}")) from error
    _remember(path, _sha256(path))


def _next_page(url: str, links: list[str]) -> str | None:
    """Return the address in a ``Link: <address>; rel="next"``, which must be of the same archive."""
    found = [m for link in links for m in re.findall(r'<([^<>]*)>[^<>]*;\s*rel="?next"?', link)]
    if not found:
        return None
    there = urljoin(url, found[0])
    if urlsplit(there)[:2] != urlsplit(url)[:2]:
        raise DatasetError(f"The listing {url} goes on at {there}, which is another archive's.")
    return there


def _entries(listing: Path, where: str) -> list[dict]:
    """Return the entries of a listing; DatasetError if it is none."""
    try:
        entries = json.loads(listing.read_text())
        for entry in entries:
            lfs = entry.get("lfs") or {}
            sizes = [x["size"] for x in (entry, lfs) if x.get("size") is not None]
            if not isinstance(entry["path"], str) or not isinstance(entry["type"], str):
                raise TypeError(f"path {entry['path']!r} of type {entry['type']!r}")
            if not all(type(size) is int and size >= 0 for size in sizes) or len(set(sizes)) > 1:
                raise TypeError(f"{entry['path']!r} has sizes {sizes}")
            if lfs and not re.fullmatch("(sha256:)?[0-9a-f]{64}", lfs["oid"]):
                raise ValueError(f"{entry['path']!r} has the checksum {lfs['oid']!r}")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise DatasetError(f"{where} is not a listing of the hub ({error!r}).") from error
    return entries


def _on_hub(repository: str, entry: dict) -> Remote:
    path = entry["path"]
    sha256 = (entry.get("lfs") or {}).get("oid", "").removeprefix("sha256:") or None  # small files have none
    url = f"{HUB}/datasets/{repository}/resolve/main/{quote(path)}"
    return Remote(url, f"huggingface/{repository}/{path}", sha256, entry.get("size"))
