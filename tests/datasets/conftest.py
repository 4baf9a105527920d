"""An archive on this machine, which can be made to misbehave; and a data home of each test's own."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from skdaep.datasets import _cache, _hub


class Archive(ThreadingHTTPServer):
    """Serves `files`, path -> bytes; cuts off the first `cuts` answers half way; notes every request."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files, self.cuts, self.requests, self.etag, self.failures = {}, 0, [], True, []
        self.shift, self.next_pages = 0, {}  # bytes by which a range misses what was asked for; path -> header Link

    def publish(self, repository, **files):
        """Put files on this hub, and the listing that states their checksums."""
        entries = [{"type": "directory", "path": "train"}]
        for path, content in files.items():
            self.files[f"/datasets/{repository}/resolve/main/{path}"] = content
            lfs = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
            entries.append({"type": "file", "path": path, "size": len(content), "lfs": lfs})
        self.files[f"/api/datasets/{repository}/tree/main"] = json.dumps(entries).encode()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        archive, path = self.server, unquote(self.path)
        path = path if path in archive.files else path.partition("?")[0]
        archive.requests.append((path, self.headers.get("Range")))
        content = archive.files.get(path)
        if content is None or archive.failures:
            return self.send_error(404 if content is None else archive.failures.pop(0))
        tag, start = f'"{hashlib.sha256(content).hexdigest()}"', 0
        if self.headers.get("Range") and self.headers.get("If-Range") == tag:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        start += archive.shift if start else 0
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if link := archive.next_pages.get(unquote(self.path)):
            self.send_header("Link", link)
        self.send_header("Content-Length", str(len(content) - start))
        if archive.etag:
            self.send_header("ETag", tag)
        self.end_headers()
        if archive.cuts:
            archive.cuts -= 1
            content = content[: start + (len(content) - start) // 2]
        self.wfile.write(content[start:])

    def log_message(self, *args):
        """Keep quiet."""


@pytest.fixture
def archive(monkeypatch):
    with Archive() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr(_hub, "HUB", server.url)
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A data home of its own, no waiting between tries, and no way to the real network."""
    monkeypatch.setenv("SKDAEP_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(_cache, "DELAY", 0.0)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"
