"""A small hub on this machine that speaks Hugging Face's protocol: metadata, redirects to a CDN, ranges, and faults."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = 1024
"""Bytes from which a file is stored as a large one, outside git: its sha256 is told, and the CDN serves it."""

_BLOCK = 16 << 10


@dataclass
class Faults:
    """What goes wrong, and how often.

    Attributes:
        cut: bytes after which a transfer of a large file ends; each is used once.
        damage: large files are served with other bytes of the same size.
        damage_small: small files are.
        pause: seconds between two blocks of 16 KiB of a large file.
        statuses: answers in place of the right ones; each is used once.
        no_ranges: every transfer is of the whole file.
        token: repositories are gated; only this token may read.
    """

    cut: list[int] = field(default_factory=list)
    damage: bool = False
    damage_small: bool = False
    pause: float = 0.0
    statuses: list[int] = field(default_factory=list)
    no_ranges: bool = False
    token: str | None = None


class LocalHub:
    """Repositories in memory, served on a port of this machine.

    Attributes:
        url: the endpoint.
        requests: how many of each kind ("api", "resolve", "cdn").
        sent: bytes of large files that went out.
        starts: where transfers of large files began, bytes.
        tokens: Authorization headers that came, by kind.
    """

    def __init__(self) -> None:
        self.faults = Faults()
        self.requests: Counter[str] = Counter()
        self.sent = 0
        self.starts: list[int] = []
        self.tokens: dict[str, set[str | None]] = {"api": set(), "resolve": set(), "cdn": set()}
        self._repos: dict[str, tuple[str, dict[str, bytes]]] = {}
        self._lock = threading.Lock()
        self._sending = 0  # transfers of large files under way
        hub = self

        class Handler(_Handler):
            owner = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # Its own name for the CDN: another origin, as on the real hub.
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.cdn = f"http://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def put(self, repo: str, files: dict[str, bytes]) -> str:
        """Make or replace a repository; return the commit of its main branch."""
        text = json.dumps({path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())})
        commit = hashlib.sha1(text.encode()).hexdigest()
        self._repos[repo] = (commit, files)
        return commit

    def forget(self) -> None:
        """Count from zero, once the transfers that were given up have noticed it."""
        limit = time.monotonic() + 10
        while self._sending and time.monotonic() < limit:
            time.sleep(0.01)
        with self._lock:
            self.requests.clear()
            self.starts.clear()
            self.sent = 0

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _count(self, kind: str, token: str | None) -> None:
        with self._lock:
            self.requests[kind] += 1
            self.tokens[kind].add(token)

    def _add(self, sent: int) -> None:
        with self._lock:
            self.sent += sent

    def _send_on(self, change: int) -> None:
        with self._lock:
            self._sending += change

    def _fault(self, faults: list[int]) -> int | None:
        with self._lock:
            return faults.pop(0) if faults else None


@contextmanager
def running_hub() -> Iterator[LocalHub]:
    hub = LocalHub()
    try:
        yield hub
    finally:
        hub.close()


class _Handler(BaseHTTPRequestHandler):
    owner: LocalHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        token = self.headers.get("Authorization")
        if cdn := re.fullmatch(r"/cdn/([0-9a-f]{64})", path):
            self.owner._count("cdn", token)
            return self._cdn(cdn[1], body)
        kind = "api" if path.startswith("/api/") else "resolve"
        self.owner._count(kind, token)
        if status := self.owner._fault(self.owner.faults.statuses):
            return self._send(status, b"{}", {"Retry-After": "0"})
        if self.owner.faults.token and token != f"Bearer {self.owner.faults.token}":
            return self._send(401, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": "gated"})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            return self._model(found[1], found[2])
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._resolve(found[1], found[2], found[3], body)
        return self._send(404, b"{}", {})

    def _repo(self, name: str, revision: str | None) -> tuple[str, dict[str, bytes]] | None:
        found = self.owner._repos.get(name)
        if found is None:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision not in (None, "main", found[0]):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return None
        return found

    def _model(self, name: str, revision: str | None) -> None:
        if (found := self._repo(name, revision)) is None:
            return
        commit, files = found
        siblings = []
        for path, data in files.items():
            one = {"rfilename": path, "size": len(data), "blobId": _git_oid(data)}
            if len(data) >= LARGE:
                one["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            siblings.append(one)
        told = {"id": name, "modelId": name, "sha": commit, "private": False, "tags": [], "siblings": siblings}
        self._send(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _resolve(self, name: str, revision: str, path: str, body: bool) -> None:
        if (found := self._repo(name, revision)) is None:
            return
        commit, files = found
        if path not in files:
            return self._send(404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        data = files[path]
        if len(data) < LARGE:
            headers = {"X-Repo-Commit": commit, "ETag": f'"{_git_oid(data)}"'}
            return self._send(200, data.swapcase() if self.owner.faults.damage_small else data, headers, body)
        sha256 = hashlib.sha256(data).hexdigest()
        headers = {
            "X-Repo-Commit": commit,
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": str(len(data)),
            "Location": f"{self.owner.cdn}/cdn/{sha256}?X-Amz-Signature=signed-for-an-hour",
        }
        self._send(302, b"", headers, body)

    def _cdn(self, sha256: str, body: bool) -> None:
        files = (data for _, one in self.owner._repos.values() for data in one.values())
        data = next((one for one in files if hashlib.sha256(one).hexdigest() == sha256), None)
        if data is None:
            return self._send(404, b"", {})
        faults = self.owner.faults
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked and not faults.no_ranges else 0
        if start and start >= len(data):
            return self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        if faults.damage:
            data = bytes(byte ^ 0xFF for byte in data)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if not body:
            return None
        self.owner.starts.append(start)
        cut = self.owner._fault(faults.cut)
        end = len(data) if cut is None else min(len(data), start + cut)
        self.owner._send_on(1)
        try:
            while start < end:
                block = data[start : min(start + _BLOCK, end)]
                self.owner._add(len(block))
                self.wfile.write(block)
                start += len(block)
                time.sleep(faults.pause)
        except OSError:
            pass  # the other side is gone
        finally:
            self.owner._send_on(-1)
        if start < len(data):
            self.close_connection = True
        return None

    def _send(self, status: int, data: bytes, headers: dict[str, str], body: bool = True) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain", **headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(data)


def _git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
