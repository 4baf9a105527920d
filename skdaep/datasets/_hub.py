"""The Hugging Face hub: listings of data sets, with the checksums that it states."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from ..exceptions import DatasetError
from ._cache import (
    FAILURES,
    Remote,
    by_hand,
    cause,
    get_data_home,
    in_the_making,
    local_copy,
    remember,
    sha256_of,
    transfer,
)

HUB = "https://huggingface.co"
MOST_PAGES = 10_000  # pages of a listing, with a thousand files each


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
        examples = ", ".join(sorted(files)[:10]) or "no files"
        raise DatasetError(f"{repository} has no file that matches {pattern!r} (it has {len(files)}: {examples}, ...).")
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
                headers = transfer(remote._replace(url=url), part)
                entries += _entries(part, f"What came from {url}")
                url = _next_page(url, headers.get_all("Link", []))
            part.write_text(json.dumps(entries))
    except FAILURES as error:
        raise DatasetError(by_hand(remote, path, f"and could not be downloaded: {cause(error)}")) from error
    remember(path, sha256_of(path))


def _next_page(url: str, links: list[str]) -> str | None:
    """Return the address in a ``Link: <address>; rel="next"``, which must be of the same archive."""
    found = [m for link in links for m in re.findall(r'<([^<>]*)>[^<>]*;\s*rel="?next"?', link)]
    if not found:
        return None
    there = urljoin(url, found[0])
    if urlsplit(there)[:2] != urlsplit(url)[:2]:
        raise DatasetError(f"The listing {url} goes on at {there}, which is another archive's.")
    return there


def _entries(listing: Path, address: str) -> list[dict]:
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
        raise DatasetError(f"{address} is not a listing of the hub ({error!r}).") from error
    return entries


def _on_hub(repository: str, entry: dict) -> Remote:
    path = entry["path"]
    sha256 = (entry.get("lfs") or {}).get("oid", "").removeprefix("sha256:") or None  # small files have none
    url = f"{HUB}/datasets/{repository}/resolve/main/{quote(path)}"
    return Remote(url, f"huggingface/{repository}/{path}", sha256, entry.get("size"))
