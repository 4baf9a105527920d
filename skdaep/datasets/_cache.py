"""Files of public archives, which are downloaded once, stored in the data home, and verified at every call.

`astropy.utils.data` names its copies by a hash of the URL, so none can be put there by hand, and checks no content;
both are needed here.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from contextlib import contextmanager
from http.client import HTTPException
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..exceptions import DatasetError, UnverifiedDownloadWarning
from ..storage import replacing, sha256_of

N_TRIES = 3
DELAY = 1.0  # seconds before the second try, doubled before each further one
TIMEOUT = 60.0  # seconds without a byte
CHUNK = 2**20
FAILURES = (URLError, TimeoutError, ConnectionError, HTTPException)  # errors of the network: try again


class Remote(NamedTuple):
    """A file of an archive and its place under the data home."""

    url: str
    path: str
    sha256: str | None = None  # None: not published
    size: int | None = None  # bytes; checked if no checksum is published, otherwise only shown to the user

    @property
    def held_to(self) -> int | None:
        """The size that the file must have, if no checksum is known."""
        return self.size if self.sha256 is None else None


def get_data_home(data_home=None):
    """Return the folder for downloaded data.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder. None uses the environment variable ``SKDAEP_HOME`` if it is set, else ``skdaep`` in the user's cache
        (``~/.cache``, ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on Windows). The first download creates it.

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
        raise DatasetError(by_hand(remote, path, "and download=False"))
    return path


def _verify(path: Path, remote: Remote) -> None:
    if remote.held_to not in (None, n_bytes := path.stat().st_size):
        raise DatasetError(
            f"{path} has {n_bytes} bytes, not the {remote.size} published. Delete it to have it downloaded again."
        )
    digest, record = sha256_of(path), _record(path)
    if remote.sha256 is not None:
        expected, source = remote.sha256, "the published checksum"
    elif record.exists():
        expected, source = record.read_text().partition(" ")[0], f"what it was when first seen ({record.name})"
    else:
        return remember(path, digest)
    if digest != expected:
        raise DatasetError(
            f"{path} has sha256 {digest}, which is not {source}, {expected}. Delete it to have it downloaded again."
        )


def _record(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def remember(path: Path, digest: str) -> None:
    _record(path).write_text(f"{digest}  {path.name}\n")  # as sha256sum writes and checks it


def by_hand(remote: Remote, path: Path, reason: str) -> str:
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
            transfer(remote, part)
            if remote.held_to not in (None, n_bytes := part.stat().st_size):
                raise DatasetError(f"{remote.url} gave {n_bytes} bytes, but {remote.size} are published; not kept.")
            digest = sha256_of(part)
            if remote.sha256 not in (None, digest):
                raise DatasetError(
                    f"{remote.url} gave a file with sha256 {digest}, but {remote.sha256} is published. It was not "
                    "kept: the transfer was disturbed, or the archive has changed (then delete its .listing.json)."
                )
    except FAILURES as error:
        raise DatasetError(by_hand(remote, path, f"and could not be downloaded: {cause(error)}")) from error
    if remote.sha256 is None:
        remember(path, digest)
        warnings.warn(
            f"No checksum is published for {remote.url}. The downloaded file, with sha256 {digest}, is "
            "trusted from now on; compare it with a copy from elsewhere.",
            UnverifiedDownloadWarning,
            stacklevel=5,
        )


@contextmanager
def in_the_making(path: Path):
    """Yield the path of an empty file that is renamed to `path` on success, and removed otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        yield part


def cause(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error or type(error).__name__)


def transfer(remote: Remote, part: Path):
    """Write the content to `part`, continuing an interrupted download; return the headers of the answer."""
    tag = None
    for tries_left in reversed(range(N_TRIES)):
        headers = {"User-Agent": "skdaep"}
        if tag is not None and part.stat().st_size:
            # The server sends the rest, or the whole file if it has changed in the meantime.
            headers |= {"Range": f"bytes={part.stat().st_size}-", "If-Range": tag}
        try:
            with _open(Request(remote.url, headers=headers)) as answer:
                tag = answer.headers.get("ETag")
                tag = None if tag is None or tag.startswith("W/") else tag
                _receive(answer, part, remote.held_to)
                return answer.headers
        except FAILURES as error:
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
        part.write_bytes(b"")  # start again from the beginning
        raise ConnectionError(f"asked for the bytes from {start} on, but got {sent or 'an unknown range'}")
    length = answer.headers.get("Content-Length")
    total = None if length is None else start + int(length)
    with part.open("ab" if resumed else "wb") as file, _progress(answer.url, start, total) as advance:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            advance(len(chunk))
            if size is not None and file.tell() > size:
                return
        arrived = file.tell()
    if total is not None and arrived < total:  # http.client does not report this
        raise ConnectionError(f"the connection was cut off after {arrived} of {total} bytes")


@contextmanager
def _progress(url: str, start: int, total: int | None):
    """Yield a function to call for every chunk. In a terminal, and with rich, it moves a progress bar."""
    if find_spec("rich") is None or not sys.stderr.isatty():
        yield lambda n: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(PurePosixPath(url.partition("?")[0]).name, total=total, completed=start)
        yield lambda n: bar.advance(task, n)
