"""The service on a real socket, in its own process: what a client library would tidy up is sent as it is."""

from __future__ import annotations

import hashlib
import http.client
import signal
import socket
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.gateway.server import serve
from f5_pipeline.studio.links.tokens import LinkSigner
from f5_pipeline_tests.support.gateway_studio import KEY
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.waiting import HANG_SECONDS

NAME = "Grüße.flac"
BIG = 24 * 1024 * 1024

PROGRAM = """
import sys
import time
from pathlib import Path
from f5_pipeline.gateway.server import serve
from f5_pipeline.studio.links.tokens import LinkSigner
from f5_pipeline.store.local import LocalStore
from f5_pipeline_tests.support.gateway_studio import KEY, Studio

studio = Studio(LocalStore(Path(sys.argv[1])))
studio.add("Grüße.flac", bytes(range(256)) * 4096)
studio.add("big.mp3", bytes(24 * 1024 * 1024))
(studio.store.root / "secret.txt").write_text("the store's own secret")
serve(studio.app(now=time.time), port=0, on_ready=lambda url: print(url, flush=True))
print("ended well", flush=True)
"""


class Running:
    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(folder / "studio")], stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.url = some(self.process.stdout).readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.log.read_text()
        parts = urlsplit(self.url)
        self.address = (parts.hostname or "", parts.port or 0)

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection(self.address, timeout=20) as connection:
            connection.sendall(request)
            answer = b""
            try:
                while block := connection.recv(65536):
                    answer += block
            except ConnectionResetError:
                pass
            return answer

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=HANG_SECONDS)
        return self.process.returncode, rest


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    service = Running(tmp_path_factory.mktemp("service"))
    yield service
    if service.process.poll() is None:
        service.stop()


def token(file: str = "*", **options) -> str:
    return LinkSigner([KEY]).sign("engine", "5e1f00d5ca1ab1e0", file, **options)


def test_a_file_in_pieces_is_the_file(running):
    url = f"/d/{token(NAME)}/Gr%C3%BC%C3%9Fe.flac"
    status, headers, whole = running.get(url)
    assert status == 200 and headers["etag"] == f'"{hashlib.sha256(whole).hexdigest()}"' and len(whole) == 1 << 20
    assert "server" not in headers and "filename*=UTF-8''Gr%C3%BC%C3%9Fe.flac" in headers["content-disposition"]
    pieces = b""
    for start in range(0, len(whole), 300_000):
        status, headers, piece = running.get(
            url, Range=f"bytes={start}-{start + 299_999}", If_Range=f'"{hashlib.sha256(whole).hexdigest()}"'
        )
        assert status == 206
        pieces += piece
    assert pieces == whole
    assert running.get(url, Range="bytes=1048576-")[0] == 416
    status, headers, body = running.get(url, "HEAD")
    assert (status, headers["content-length"], body) == (200, "1048576", b"")
    status, headers, body = running.get(url, If_None_Match=headers["etag"])
    assert (status, body) == (304, b"") and "content-length" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "../../../secret.txt",
        "..%2f..%2f..%2fsecret.txt",
        "%2e%2e/%2e%2e/%2e%2e/secret.txt",
        "%252e%252e%252fsecret.txt",
        "..\\..\\secret.txt",
        "..%5c..%5csecret.txt",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "big.mp3%00.txt",
        "%00",
        "big.mp3/",
        "./big.mp3",
        "big.mp3%0d%0aX-Evil:%201",
        "BIG.MP3",
        "big.mp3.",
        "%ff%fe",
        "0.bin",
        "narrations/engine/5e1f00d5ca1ab1e0/0.bin",
        "*",
        "",
        ".",
        "..",
    ],
)
def test_no_path_leads_anywhere(running, path):
    for scope in ("*", "big.mp3"):
        status, headers, body = running.get(f"/d/{token(scope)}/{path}")
        no_address = scope == "*" or "%0" in path  # control characters are part of none
        assert status == (404 if no_address else 403), path
        assert b"secret" not in body and b"root:" not in body and "x-evil" not in headers
    assert running.get(f"/static/{path}")[0] == 404


def test_broken_requests_break_nothing(running):
    good = token("big.mp3")
    for line in (
        b"GET /d/" + b"x" * 200_000 + b"/y HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /d/\xff\xfe\x00/y HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"GET http://evil/../../etc/passwd HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        f"GET /d/{good}/big.mp3 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"
        "Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\nRange: bytes=0-3\r\n\r\n".encode(),
        b"\x16\x03\x01\x02\x00\x01\x00",
    ):
        answer = running.raw(line) if not line.startswith(b"\x16") else b""
        assert not answer.startswith(b"HTTP/1.1 5") and b"Traceback" not in answer
    assert running.get("/healthz")[::2] == (200, b"ok")


def test_a_reader_that_goes_away_costs_nothing(running):
    for _ in range(5):
        with socket.create_connection(running.address, timeout=20) as connection:
            connection.sendall(f"GET /d/{token('big.mp3')}/big.mp3 HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            connection.recv(1000)
    open_files = Path(f"/proc/{running.process.pid}/fd")
    if open_files.is_dir():
        for _ in range(1000):
            running.get("/healthz")
            if not [link for link in open_files.iterdir() if _target(link).endswith(".bin")]:
                break
        else:
            pytest.fail("files stay open")
    assert len(running.get(f"/d/{token('big.mp3')}/big.mp3")[2]) == BIG


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def test_the_log_holds_no_token_and_no_secret(tmp_path):
    service = Running(tmp_path)
    tokens = [token(), token("big.mp3"), token(lifetime=timedelta(seconds=1), now=0)]
    assert [service.get(f"/d/{t}/big.mp3", Range="bytes=0-6")[0] for t in tokens] == [206, 206, 410]
    service.stop()
    log = service.log.read_text()
    assert log.count('"file": "big.mp3"') == 2 and log.count('"bytes": 7') == 2 and '"status": 410' in log
    assert KEY not in log and "/d/" not in log and not any(t in log for t in tokens)


def test_a_stop_lets_downloads_finish(tmp_path):
    service = Running(tmp_path)
    received, begun = [], threading.Event()

    def download() -> None:
        with socket.create_connection(service.address, timeout=30) as connection:
            connection.sendall(f"GET /d/{token('big.mp3')}/big.mp3 HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            received.append(len(connection.recv(1000)))
            begun.set()
            while block := connection.recv(1 << 20):
                received.append(len(block))

    reader = threading.Thread(target=download)
    reader.start()
    assert begun.wait(20)
    code, rest = service.stop()
    reader.join()
    assert code == 0 and "ended well" in rest
    assert sum(received) > BIG


def test_ctrl_c_is_a_normal_end(tmp_path):
    service = Running(tmp_path)
    code, rest = service.stop(signal.SIGINT)
    assert code == 0 and "ended well" in rest and "Traceback" not in service.log.read_text()


def test_a_taken_port_is_told(studio):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="cannot listen") as error:
            serve(studio.app(), port=taken.getsockname()[1])
    assert "in use" in str(error.value)


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 70000), ("127.0.0.1", -1), ("no such host", 0), ("x" * 300, 0)]
)
def test_an_impossible_address_is_told(studio, host, port):
    with pytest.raises(InputError):
        serve(studio.app(), host=host, port=port)
