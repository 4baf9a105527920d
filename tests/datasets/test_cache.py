"""The cache: what is in it is whole and verified, and nothing else gets in."""

import hashlib
import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request

import numpy as np
import pytest

from skdaep import DatasetError, UnverifiedDownloadWarning, storage
from skdaep.datasets import _cache, get_data_home
from skdaep.datasets._cache import Remote, local_copy
from skdaep.datasets._hub import hub_files

CONTENT = np.random.default_rng(0).bytes(2**20 + 17)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def unverified():
    return pytest.warns(UnverifiedDownloadWarning)


@pytest.fixture
def remote(archive):
    archive.files["/spectra.bin"] = CONTENT
    return Remote(f"{archive.url}/spectra.bin", "survey/spectra.bin", SHA256, len(CONTENT))


def files_in(home):
    return {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}


# --- where ------------------------------------------------------------------------------------------


def test_data_home_is_the_argument_then_the_variable_then_the_users_cache(monkeypatch, tmp_path):
    assert get_data_home(tmp_path) == tmp_path
    assert get_data_home() == tmp_path / "home"
    monkeypatch.delenv("SKDAEP_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("sys.platform", "linux")
    assert get_data_home() == tmp_path / "xdg" / "skdaep"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert get_data_home() == Path.home() / ".cache" / "skdaep"
    monkeypatch.setattr("sys.platform", "darwin")
    assert get_data_home() == Path.home() / "Library" / "Caches" / "skdaep"


def test_asking_for_the_data_home_makes_no_folder(home):
    assert get_data_home() == home
    assert not home.exists()


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/tmp/outside"])
def test_nothing_is_written_outside_the_data_home(remote, path):
    with pytest.raises(DatasetError, match="outside the data home"):
        local_copy(remote._replace(path=path))


# --- once -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("published", [True, False])
def test_the_second_call_does_not_touch_the_network(remote, archive, published):
    remote = remote if published else remote._replace(sha256=None)
    with nullcontext() if published else unverified():
        path = local_copy(remote)
    assert path.read_bytes() == CONTENT
    assert local_copy(remote) == local_copy(remote, download=False) == path
    assert len(archive.requests) == 1


def test_a_file_address_will_do(tmp_path):
    (tmp_path / "spectra.bin").write_bytes(CONTENT)
    remote = Remote((tmp_path / "spectra.bin").as_uri(), "survey/spectra.bin", SHA256)
    assert local_copy(remote).read_bytes() == CONTENT


def test_a_file_put_there_by_hand_is_taken(remote, archive, home):
    (home / "survey").mkdir(parents=True)
    (home / "survey" / "spectra.bin").write_bytes(CONTENT)
    assert local_copy(remote, download=False) == home / "survey" / "spectra.bin"
    assert archive.requests == []


# --- verified ---------------------------------------------------------------------------------------


def test_what_is_not_what_was_published_does_not_get_in(remote, archive, home):
    archive.files["/spectra.bin"] = CONTENT[:-1] + b"x"
    with pytest.raises(DatasetError, match=f"{SHA256} is published"):
        local_copy(remote)
    assert files_in(home) == set()


def test_a_copy_that_changed_is_refused_and_left_alone(remote):
    path = local_copy(remote)
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(DatasetError, match=r"survey/spectra\.bin has sha256 .* not the published checksum.*Delete it"):
        local_copy(remote)
    assert path.read_bytes() == CONTENT[:-1] + b"x"


def test_without_a_published_checksum_the_first_copy_is_the_measure(remote, archive, home):
    remote = remote._replace(sha256=None, size=None)
    with pytest.warns(UnverifiedDownloadWarning, match=rf"spectra\.bin. The downloaded file, with sha256 {SHA256}"):
        path = local_copy(remote)
    assert (home / "survey" / "spectra.bin.sha256").read_text() == f"{SHA256}  spectra.bin\n"
    path.write_bytes(b"other")
    with pytest.raises(DatasetError, match="what it was when first seen"):
        local_copy(remote)
    path.unlink()  # as the message says
    archive.files["/spectra.bin"] = b"a new edition"
    with unverified():
        assert local_copy(remote).read_bytes() == b"a new edition"
    assert local_copy(remote, download=False) == path


def test_a_published_checksum_leaves_no_note(remote, home):
    local_copy(remote)
    assert files_in(home) == {"survey/spectra.bin"}


# --- interrupted ------------------------------------------------------------------------------------


def test_a_download_cut_off_is_taken_up_where_it_stopped(remote, archive):
    archive.cuts = 2
    assert local_copy(remote).read_bytes() == CONTENT
    starts = [0 if r is None else int(r.removeprefix("bytes=").removesuffix("-")) for _, r in archive.requests]
    assert starts == [0, len(CONTENT) // 2, len(CONTENT) // 2 + (len(CONTENT) - len(CONTENT) // 2) // 2]


def test_without_a_tag_it_starts_again(remote, archive):
    archive.cuts, archive.etag = 1, False
    with unverified():
        assert local_copy(remote._replace(sha256=None)).read_bytes() == CONTENT
    assert [start for _, start in archive.requests] == [None, None]


def test_a_file_that_changed_meanwhile_is_not_stitched_to_the_old_one(remote, archive, monkeypatch):
    archive.cuts = 1
    monkeypatch.setattr(_cache.time, "sleep", lambda seconds: archive.files.update({"/spectra.bin": CONTENT[::-1]}))
    with unverified():
        assert local_copy(remote._replace(sha256=None)).read_bytes() == CONTENT[::-1]


def test_an_interrupted_download_leaves_nothing(remote, archive, home):
    archive.cuts = _cache.N_TRIES
    with pytest.raises(DatasetError, match="cut off after"):
        local_copy(remote)
    assert files_in(home) == set()
    assert local_copy(remote).read_bytes() == CONTENT  # and does not stand in the way of the next


def test_nor_does_ctrl_c(remote, home, monkeypatch):
    def interrupt(answer, part, size):
        part.write_bytes(answer.read(1000))
        raise KeyboardInterrupt

    monkeypatch.setattr(_cache, "_receive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        local_copy(remote)
    assert files_in(home) == set()


def test_a_busy_archive_is_asked_again_and_a_refusal_is_not(remote, archive):
    archive.failures = [503, 429]
    assert local_copy(remote).read_bytes() == CONTENT
    missing = Remote(f"{archive.url}/missing.bin", "survey/missing.bin")
    with pytest.raises(DatasetError, match="Not Found"):
        local_copy(missing)
    assert [path for path, _ in archive.requests].count("/missing.bin") == 1


def test_another_range_than_was_asked_for_is_not_taken(remote, archive):
    archive.cuts, archive.shift = 1, 100
    with unverified():
        assert local_copy(remote._replace(sha256=None)).read_bytes() == CONTENT
    assert [start is None for _, start in archive.requests] == [True, False, True]


def test_a_file_of_another_size_than_published_is_not_kept(remote, archive, home):
    for content in (CONTENT + b"x" * 3 * _cache.CHUNK, CONTENT[:-1]):
        archive.files["/spectra.bin"] = content
        with pytest.raises(DatasetError, match=rf"but {len(CONTENT)} are published; not kept"):
            local_copy(remote._replace(sha256=None))
        assert files_in(home) == set()
    (home / "survey" / "spectra.bin").write_bytes(CONTENT[1:])
    with pytest.raises(DatasetError, match=rf"not the {len(CONTENT)} published"):
        local_copy(remote._replace(sha256=None))


def test_https_stays_https(monkeypatch):
    follow = _cache._NoWayBack().redirect_request
    for there in ("http://other.org/x", "ftp://other.org/x"):
        with pytest.raises(URLError, match="not https"):
            follow(Request("https://archive.org/x"), None, 302, "Found", {}, there)
    assert follow(Request("https://archive.org/x"), None, 302, "Found", {}, "https://b.org/x").full_url[-5:] == "org/x"


def test_what_a_killed_download_left_is_removed(remote, home):
    (home / "survey").mkdir(parents=True)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = storage.NAME.format(machine=storage._machine(), process=dead.pid, number="0" * 8)
    (home / "survey" / left).write_bytes(CONTENT)
    local_copy(remote)
    assert files_in(home) == {"survey/spectra.bin"}


# --- offline ----------------------------------------------------------------------------------------


def test_offline_the_error_says_what_from_where_and_where_to_put_it(remote, home):
    offline = remote._replace(url="http://127.0.0.1:9/spectra.bin")
    with pytest.raises(DatasetError) as caught:
        local_copy(offline)
    message = str(caught.value)
    for part in ("spectra.bin (1.05 MB)", "http://127.0.0.1:9/spectra.bin", str(home / "survey" / "spectra.bin")):
        assert part in message
    assert "SKDAEP_HOME" in message
    assert "refused" in message
    assert isinstance(caught.value, OSError)


def test_download_false_says_the_same_and_asks_nobody(remote, archive, home):
    with pytest.raises(DatasetError, match=r"download=False\. Download http://.*put it at .*survey/spectra\.bin"):
        local_copy(remote, download=False)
    assert archive.requests == []
    assert not home.exists()


# --- the hub ----------------------------------------------------------------------------------------


def test_the_hub_gives_checksums_and_the_listing_is_kept(archive):
    files = {"b/train-1.parquet": b"one", "b/train-0.parquet": b"nought", "b/test-0.parquet": b"t", "README.md": b"r"}
    archive.publish("owner/name", **files)
    found = hub_files("owner/name", "b/train-*")
    assert [r.path for r in found] == [f"huggingface/owner/name/b/train-{i}.parquet" for i in (0, 1)]
    assert found[0].sha256 == hashlib.sha256(b"nought").hexdigest()
    assert local_copy(found[1]).read_bytes() == b"one"
    archive.publish("owner/name", **{"b/train-9.parquet": b"nine"})
    assert hub_files("owner/name", "b/train-*", download=False) == found
    with pytest.raises(DatasetError, match=r"no file that matches 'c/\*' \(it has 4: README\.md, b/test-0\.parquet"):
        hub_files("owner/name", "c/*")


def test_what_is_no_listing_is_named(archive, home):
    archive.files["/api/datasets/owner/name/tree/main"] = b"<html>Please log in</html>"
    with pytest.raises(DatasetError, match=r"tree/main.*is not a listing of the hub"):
        hub_files("owner/name", "*")
    assert files_in(home) == set()
    listing = home / "huggingface" / "owner" / "name" / ".listing.json"
    listing.parent.mkdir(parents=True, exist_ok=True)
    listing.write_text("{}x")
    with pytest.raises(DatasetError, match=r"Delete .*\.listing\.json to renew it: it is not a listing"):
        hub_files("owner/name", "*", download=False)


@pytest.mark.parametrize(
    "entry",
    [
        3,
        None,
        [],
        "path",
        {"type": "file"},
        {"path": 3, "type": "file"},
        {"path": "a.parquet", "type": "file", "size": -1},
        {"path": "a.parquet", "type": "file", "size": "3"},
        {"path": "a.parquet", "type": "file", "lfs": "x"},
        {"path": "a.parquet", "type": "file", "lfs": {"oid": "x"}},
        {"path": "a.parquet", "type": "file", "lfs": {"oid": 3}},
        {"path": "a.parquet", "type": "file", "size": 1, "lfs": {"oid": "0" * 64, "size": 2}},
        "deep",
    ],
)
def test_odd_listings_are_refused(archive, entry):
    text = "[" * 10**5 if entry == "deep" else json.dumps([entry])
    archive.files["/api/datasets/owner/name/tree/main"] = text.encode()
    with pytest.raises(DatasetError, match="not a listing of the hub"):
        hub_files("owner/name", "*")


def test_all_pages_of_a_listing_are_read(archive, home):
    """As the hub gives them: every page names the next in a header."""
    tree = "/api/datasets/owner/name/tree/main"
    archive.publish("owner/name", **{f"train-{i}.parquet": b"x" for i in range(5)})
    directory, *entries = json.loads(archive.files.pop(tree))
    pages = [f"{tree}?recursive=true", f"{tree}?recursive=true&cursor=b", f"{tree}?recursive=true&cursor=c"]
    for page, own in zip(pages, ([directory, *entries[:2]], entries[2:4], entries[4:]), strict=True):
        archive.files[page] = json.dumps(own).encode()
    archive.next_pages = {
        pages[0]: f'<{archive.url}{pages[1]}>; rel="next"',
        pages[1]: f'<{pages[0]}>; rel="first", <{pages[2]}>; rel="next"',
    }
    assert [r.path[-15:] for r in hub_files("owner/name", "*")] == [f"train-{i}.parquet" for i in range(5)]
    assert len(hub_files("owner/name", "*", download=False)) == 5
    assert len(archive.requests) == 3
    assert files_in(home) == {f"huggingface/owner/name/.listing.json{end}" for end in ("", ".sha256")}


@pytest.mark.parametrize(("link", "wanted"), [("{tree}", "has no end"), ("http://other.org/x", "another archive's")])
def test_a_listing_that_goes_round_or_elsewhere_is_refused(archive, home, link, wanted):
    tree = "/api/datasets/owner/name/tree/main?recursive=true"
    archive.publish("owner/name", **{"a.parquet": b"x"})
    archive.next_pages = {tree: f'<{link.format(tree=tree)}>; rel="next"'}
    with pytest.raises(DatasetError, match=wanted):
        hub_files("owner/name", "*")
    assert files_in(home) == set()


def test_a_path_of_the_listing_cannot_lead_out(archive):
    archive.publish("owner/name", **{"../../../../outside.parquet": b"x"})
    (remote,) = hub_files("owner/name", "*")
    with pytest.raises(DatasetError, match="outside the data home"):
        local_copy(remote)


# --- extras and progress ----------------------------------------------------------------------------


def test_a_missing_extra_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ImportError, match=r"fetch_galaxy10 needs h5py: pip install skdaep\[data\]"):
        _cache.require("h5py", "fetch_galaxy10")


def test_a_bar_is_drawn_in_a_terminal_only(remote, monkeypatch, capsys):
    pytest.importorskip("rich")
    local_copy(remote)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    local_copy(remote._replace(path="again.bin"))
    assert "spectra.bin" in capsys.readouterr().err
