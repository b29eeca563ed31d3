"""Files that requests name by URL: nothing of this machine or its network is reached."""

from __future__ import annotations

import http.server
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.gateway.api import fetching
from f5_pipeline.gateway.api.fetching import fetch, is_public


class Handler(http.server.BaseHTTPRequestHandler):
    seen: list[str] = []  # noqa: RUF012 - of the module's one server

    def do_GET(self) -> None:
        self.seen.append(f"{self.headers['host']} {self.path}")
        if self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("location", self.path[4:])
            self.end_headers()
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path == "/squeezed.txt":
            self.send_header("content-encoding", "gzip")
        self.end_headers()
        for _ in range(40 if self.path in ("/large.txt", "/slow.txt") else 1):
            try:
                self.wfile.write(b"x" * 1000)
                if self.path == "/slow.txt":
                    time.sleep(0.2)
            except OSError:
                return

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made.server_address[1]
    made.shutdown()


PRIVATE = [
    "http://127.0.0.1/",
    "http://localhost/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://localhost./",
    "http://example.org@127.0.0.1/",
    "http://127.0.0.1#@example.org/",
    "http://127.0.0.1\\@example.org/",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "ftp://127.0.0.1/x",
    "//127.0.0.1/",
    "http:///etc/passwd",
    "http://",
    "http://127.0.0.1:99999/",
    "http://[::1/",
    "http://\x00/",
    "",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_no_spelling_of_a_private_address_is_fetched(url, monkeypatch):
    connected = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: connected.append(address))
    with pytest.raises(InputError):
        fetch(url)
    assert not connected


def test_public_addresses_are_public():
    for address in ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"):
        assert is_public(ipaddress.ip_address(address))


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(server, monkeypatch):
    """A name that has a public address when it is checked, and another when it is connected to."""
    answers = iter(["127.0.0.1", "192.0.2.1"])

    def resolve(host, port, *args, **options):
        address = next(answers) if host == "rebinding.example" else host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    Handler.seen.clear()
    url = f"http://rebinding.example:{server}/voices/a%20b.wav"
    fetched = fetch(url, allowed=lambda address: str(address) == "127.0.0.1")
    assert fetched.name == "a b.wav" and fetched.data == b"x" * 1000
    assert Handler.seen == [f"rebinding.example:{server} /voices/a%20b.wav"]


def test_one_private_address_of_several_is_enough(monkeypatch):
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(InputError, match="not on the public internet"):
        fetch("http://both.example/")


def test_redirects_are_checked_too(server):
    allowed = lambda address: str(address) == "127.0.0.1"  # noqa: E731
    base = f"http://127.0.0.1:{server}"
    assert fetch(f"{base}/to?/story.txt", allowed=allowed).name == "story.txt"
    for target in ("http://127.0.0.2/", "http://10.0.0.1/", "file:///etc/passwd", "http://[::1]/"):
        with pytest.raises(InputError):
            fetch(f"{base}/to?{target}", allowed=allowed)
    with pytest.raises(InputError, match="redirects more"):
        fetch(f"{base}/to?/to?/to?/to?/to?/to?/x", allowed=allowed)


def test_size_time_and_encoding_are_limited(server):
    def get(path: str, **limits):
        return fetch(f"http://127.0.0.1:{server}{path}", allowed=lambda _: True, **limits)

    with pytest.raises(InputError, match="MiB"):
        get("/large.txt", limit=20_000)
    with pytest.raises(InputError, match="too long"):
        get("/slow.txt", seconds=0.5)
    with pytest.raises(InputError, match="compressed"):
        get("/squeezed.txt")
    with pytest.raises(InputError, match="404"):
        get("/missing")


def test_only_so_many_are_fetched_at_once(monkeypatch):
    monkeypatch.setattr(fetching, "_FETCHES", threading.BoundedSemaphore(1))
    fetching._FETCHES.acquire()
    with pytest.raises(fetching.BusyError):
        fetch("http://example.org/")
