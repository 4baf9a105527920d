"""Files written whole or not at all: through links, with mode and owner kept, and nothing left of killed processes."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

import skdaep
from skdaep import storage

ESTIMATORS = ("FunctionalPCA",)  # one will do: files are written alike


def put(path, content=b"new"):
    with storage.replacing(path) as temporary:
        temporary.write_bytes(content)


def test_a_symbolic_link_is_written_through(tmp_path):
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "target", tmp_path / "link"
    link.symlink_to(target)
    for content in (b"one", b"two"):  # first it leads nowhere
        put(link, content)
        assert link.is_symlink()
        assert target.read_bytes() == content
    assert os.listdir(tmp_path / "far") == ["target"]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are those of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o400])
def test_a_file_keeps_its_mode_and_is_at_no_time_more_open(tmp_path, mode):
    path = tmp_path / "private"
    path.write_bytes(b"old")
    path.chmod(mode)
    with storage.replacing(path) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_file_keeps_its_owner(tmp_path):
    path = tmp_path / "theirs"
    path.write_bytes(b"old")
    os.chown(path, 12345, 54321)
    put(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_only_regular_files_are_replaced(tmp_path):
    with pytest.raises(IsADirectoryError):
        put(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="not a regular file"):
            put(tmp_path / "pipe")
    if os.path.exists("/dev/null"):
        with pytest.raises(OSError, match=r"not a regular file.*/dev/null"):
            put("/dev/null")
        (tmp_path / "link").symlink_to("/dev/null")
        with pytest.raises(OSError, match="not a regular file"):
            put(tmp_path / "link")
    with pytest.raises(FileNotFoundError):
        put(tmp_path / "nowhere" / "file")


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    put(tmp_path / ("n" * 255))
    assert (tmp_path / ("n" * 255)).read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    code = (
        "import sys, time; from skdaep.storage import replacing\n"
        "with replacing(sys.argv[1]) as t: t.write_bytes(b'half'); print('there', flush=True); time.sleep(60)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "model")], stdout=subprocess.PIPE, text=True)
    with writer:
        assert writer.stdout.readline() == "there\n"
        (theirs,) = os.listdir(tmp_path)
        assert storage.PATTERN.fullmatch(theirs)
        put(tmp_path / "other")
        assert set(os.listdir(tmp_path)) == {theirs, "other"}, "it is being written"
        writer.kill()
    old, new = (theirs.replace(storage._machine(), "0" * 8)[:-1] + c for c in "ab")  # of another machine
    for name in (old, new, ".skdaep-notes"):
        (tmp_path / name).touch()
    os.utime(tmp_path / old, (time.time() - 2 * storage.STALE,) * 2)
    put(tmp_path / "other")
    assert set(os.listdir(tmp_path)) == {"other", new, ".skdaep-notes"}


# --- locks ------------------------------------------------------------------------------------------

HOLDER = (
    "import sys, time; from skdaep.storage import locked\n"
    "with locked(sys.argv[1]): print('held', flush=True); time.sleep(60)"
)


def test_a_lock_is_for_one_at_a_time_and_leaves_nothing(tmp_path):
    with storage.locked(tmp_path / "a"), storage.locked(tmp_path / "b"):
        with pytest.raises(storage.LockedError, match=rf"process {os.getpid()} on"), storage.locked(tmp_path / "a"):
            pass
        (tmp_path / "link").symlink_to(tmp_path / "a")
        with pytest.raises(storage.LockedError), storage.locked(tmp_path / "link"):
            pass
        storage.sweep(tmp_path)
        with pytest.raises(storage.LockedError), storage.locked(tmp_path / "a"):
            pass
    with storage.locked(tmp_path / "a"):
        pass
    assert os.listdir(tmp_path) == ["link"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_lock_ends_with_the_process_that_holds_it(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(storage.LockedError, match=f"process {holder.pid} on"), storage.locked(tmp_path / "a"):
            pass
        holder.kill()
    assert len(os.listdir(tmp_path)) == 1
    with storage.locked(tmp_path / "a"):
        pass
    assert os.listdir(tmp_path) == []


def test_a_lock_file_of_a_dead_process_is_swept(tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    lock, other = (tmp_path / storage.LOCK_NAME.format(hash=c * 8) for c in "ab")
    lock.write_text(f"process {dead.stdout.strip()} on node ({storage._machine()})")
    other.write_text(f"process {os.getpid()} on node ({storage._machine()})")
    put(tmp_path / "file")
    assert set(os.listdir(tmp_path)) == {other.name, "file"}


def test_the_folder_is_brought_to_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda d: synced.append(stat.S_ISDIR(os.fstat(d).st_mode)))
    put(tmp_path / "file")
    assert synced == [False, True]


# --- an estimator's -----------------------------------------------------------------------------------


def test_save_and_load_refuse_what_is_no_regular_file(fitted, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for use in (fitted.save, skdaep.load, skdaep.info):
        with pytest.raises(OSError, match="not a regular file"):
            use(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError):
        fitted.save(tmp_path)
    with pytest.raises(FileNotFoundError):
        skdaep.info(tmp_path / "nothing")
