"""Write files completely or not at all, lock paths, and clean up after killed processes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
import stat
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from uuid import uuid4

#: names of temporary files: short, even if the name of the file is long
PREFIX = ".skdaep-"
NAME = PREFIX + "{machine}-{process}-{number}"
PATTERN = re.compile(r"\.skdaep-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}")
#: names of lock files, and their content
LOCK_NAME = PREFIX + "{hash}.lock"
LOCK_PATTERN = re.compile(r"\.skdaep-[0-9a-f]{8}\.lock")
HOLDER = re.compile(r"process (\d+) on .* \(([0-9a-f]{8})\)")
#: a temporary file of another machine is deleted after this many seconds without a change
STALE = 86_400


def sha256_of(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def regular(path: str | os.PathLike[str]) -> os.stat_result | None:
    """Return the status of a regular file, None if it does not exist.

    Raises
    ------
    OSError
        If it is a folder, a device, a pipe or the like.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "This is not a regular file; give the path of one", str(path))
    return found


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the path of an empty file that replaces `path` on success, and is removed otherwise.

    Symbolic links are written through. A file that was there hands on its mode and, where that is permitted, its owner.
    What earlier processes left in the folder when they were killed is removed.
    """
    path = Path(os.path.realpath(path))
    before = regular(path)
    sweep(path.parent)
    own = NAME.format(machine=_machine(), process=os.getpid(), number=uuid4().hex[:8])
    temporary = path.with_name(own)
    # If the file to be replaced is private, the temporary file must be private, too.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if before is None else 0o600))
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if before is not None:
            _hand_on(before, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


class LockedError(OSError):
    """Another process or thread holds the lock; the message says which."""


@contextlib.contextmanager
def locked(path: str | os.PathLike[str]) -> Iterator[None]:
    """In this context no other process or thread can lock the same path, whether the file exists or not.

    The lock is the system's, on a file beside `path`: it ends with the process that holds it, however that ends.

    Raises
    ------
    LockedError
        If another one is there.
    OSError
        If the file system has no locks.
    """
    path = Path(os.path.realpath(path))
    lock = path.with_name(LOCK_NAME.format(hash=hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]))
    with _holding(lock) as descriptor:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {platform.node()} ({_machine()})".encode())
        yield


@contextlib.contextmanager
def _holding(lock: Path) -> Iterator[int]:
    """Yield the descriptor of a locked file, and remove it."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
        except OSError as error:
            holder = os.read(descriptor, 200).decode(errors="replace")
            os.close(descriptor)
            if isinstance(error, (BlockingIOError, PermissionError)):
                raise LockedError(holder or "one that is just beginning") from None
            raise
        if lock.exists() and os.path.samestat(os.fstat(descriptor), os.stat(lock)):
            break
        os.close(descriptor)  # its previous holder has removed the file: try again with a new one
    try:
        yield descriptor
    finally:
        with contextlib.suppress(PermissionError):  # Windows cannot delete an open file
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":  # nobody can read locked bytes, so lock one far behind the text
        import msvcrt

        os.lseek(descriptor, 2**20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sweep(folder: Path) -> None:
    """Remove temporary files and locks of processes that have ended."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for left in entries:
            with contextlib.suppress(OSError):  # another process may sweep at the same time
                if left.name.startswith(PREFIX) and left.is_file(follow_symlinks=False):
                    _sweep(left)


def _sweep(left: os.DirEntry[str]) -> None:
    if (found := PATTERN.fullmatch(left.name)) and _is_left(left, found[1], int(found[2])):
        os.unlink(left.path)
    elif LOCK_PATTERN.fullmatch(left.name):
        holder = HOLDER.fullmatch(Path(left.path).read_text(errors="replace"))
        if holder and _is_left(left, holder[2], int(holder[1])):
            with contextlib.suppress(LockedError), _holding(Path(left.path)):
                pass


def _is_left(entry: os.DirEntry[str], machine: str, process: int) -> bool:
    if machine == _machine() and not _lives(process):
        return True
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE


@cache
def _machine() -> str:
    """Return a name for the scope of process numbers: the machine or, on Linux, the container."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _lives(process: int) -> bool:
    if sys.platform == "win32":  # on Windows os.kill would end the process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _hand_on(before: os.stat_result, path: Path) -> None:
    now = os.stat(path)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid) and hasattr(os, "chown"):
        with contextlib.suppress(PermissionError):
            os.chown(path, before.st_uid, before.st_gid)
    os.chmod(path, stat.S_IMODE(before.st_mode))


def _sync(folder: Path) -> None:
    """Flush the entries of a folder to disk if the system supports it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
