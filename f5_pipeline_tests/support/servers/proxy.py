"""A proxy in front of an S3 server that makes the faults of a network and of a busy or guarded service.

Requests go on as they came, Host header included: they are signed for the proxy's address, and the server checks them
against the address that it is told. Source: AWS, "Signature Version 4".
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from f5_pipeline_tests.support.servers.server import S3Server

_BLOCK = 64 << 10


@dataclass(frozen=True)
class Request:
    """One request as it came.

    Attributes:
        operation: of S3, for example "UploadPart".
        key: of the object; for listings the prefix.
        query: its parameters.
        headers: names in lower case.
    """

    method: str
    operation: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]


def _request(method: str, target: str, headers: dict[str, str]) -> Request:
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    operation = _operation(method, bool(key), query)
    return Request(method, operation, bucket, key or query.get("prefix", ""), query, headers)


def _operation(method: str, of_object: bool, query: dict[str, str]) -> str:
    """The operation's name, of those that a store or a test asks for."""
    if not of_object:
        if method == "GET":
            versions = "versions" in query
            uploads = "uploads" in query
            return "ListObjectVersions" if versions else "ListMultipartUploads" if uploads else "ListObjectsV2"
        return {"HEAD": "HeadBucket", "PUT": "CreateBucket", "POST": "DeleteObjects"}.get(method, method)
    if "uploadId" in query:
        return {
            "GET": "ListParts",
            "PUT": "UploadPart",
            "POST": "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
        }[method]
    if method == "POST":
        return "CreateMultipartUpload"
    return f"{method.capitalize()}Object"


@dataclass
class Fault:
    """What goes wrong with some requests. It happens to those that match, after `skip` of them, `times` times.

    Attributes:
        operations: of S3; empty for all.
        when: what else must hold of the request.
        skip: matching requests that pass unharmed first.
        times: how often it happens; None for always.
        seconds: how long it happens from the first time on; None for ever.
        cut_request: the connection is cut after so many bytes of the request's body.
        cut_response: the connection is cut after so many bytes of the answer's body.
        answer: status and S3 error code of an answer that the server never sees the request of.
        drop: the connection is cut before any answer.
        lose_answer: the server carries the request out, and the connection is cut in place of its answer.
        pause: seconds before the request goes on to the server.
        trickle: bytes and seconds: the answer's body goes out in blocks of so many bytes, so many seconds apart.
    """

    operations: tuple[str, ...] = ()
    when: Callable[[Request], bool] = lambda request: True
    skip: int = 0
    times: int | None = 1
    seconds: float | None = None
    cut_request: int | None = None
    cut_response: int | None = None
    answer: tuple[int, str] | None = None
    drop: bool = False
    lose_answer: bool = False
    pause: float = 0.0
    trickle: tuple[int, float] | None = None
    happened: int = 0
    _since: float | None = None

    def strikes(self, request: Request) -> bool:
        """Whether it happens to this request; counts."""
        if (self.operations and request.operation not in self.operations) or not self.when(request):
            return False
        if self.skip:
            self.skip -= 1
            return False
        now = time.monotonic()
        self._since = self._since or now
        if self.times is not None and self.happened >= self.times:
            return False
        if self.seconds is not None and now - self._since > self.seconds:
            return False
        self.happened += 1
        return True


def slow_down(times: int | None = None, seconds: float | None = None) -> Fault:
    """A storm of 503, as B2 answers above its rate cap."""
    return Fault(times=times, seconds=seconds, answer=(503, "SlowDown"))


def denies(*operations: str) -> Fault:
    """A key that lacks the capability for these operations."""
    return Fault(operations=operations, times=None, answer=(403, "AccessDenied"))


def only_below(prefix: str) -> Fault:
    """A key that is restricted to names below `prefix`, and to its own bucket."""
    return Fault(when=lambda request: not request.key.startswith(prefix), times=None, answer=(403, "AccessDenied"))


class Cut(Exception):
    """The connection is over."""


class FaultProxy:
    """A proxy on a port of its own; faults may be added while it runs.

    Attributes:
        server: the S3 server as it is reached through the proxy.
        seen: every request, in order of arrival.
        faults: what is in force; the first that strikes is the one that happens.
    """

    def __init__(self, upstream: S3Server) -> None:
        self._upstream = urlsplit(upstream.endpoint).netloc
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self.seen: list[Request] = []
        self.faults: list[Fault] = []
        self._cleared = threading.Event()
        self._listener: _Listener | None = None
        self._port = 0
        self.start()
        self.server = replace(upstream, endpoint=f"http://127.0.0.1:{self._port}", processes=())

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._listener = _Listener(self, self._port)
        self._port = self._listener.server_address[1]
        threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Cut every connection; new ones are refused."""
        if self._listener is None:
            return
        self._listener.shutdown()
        self._listener.server_close()
        self._listener = None
        with self._lock:
            cut = list(self._connections)
        for connection in cut:
            _reset(connection)

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self.faults += faults

    def clear(self) -> None:
        """No more faults, and nothing seen yet; what a fault holds up is cut."""
        with self._lock:
            self.faults.clear()
            self.seen.clear()
            self._cleared.set()
            self._cleared = threading.Event()

    @property
    def counts(self) -> Counter[str]:
        """Requests by operation, refused ones included."""
        with self._lock:
            return Counter(request.operation for request in self.seen)

    @contextlib.contextmanager
    def connection(self, made: socket.socket) -> Iterator[None]:
        with self._lock:
            self._connections.add(made)
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(made)

    def note(self, request: Request) -> Fault:
        """Keep what came; the fault that happens to it."""
        with self._lock:
            self.seen.append(request)
            return next((fault for fault in self.faults if fault.strikes(request)), Fault())

    def hold(self, seconds: float) -> None:
        """Hold a request up."""
        if seconds and self._cleared.wait(seconds):
            raise Cut

    def ask_server(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._upstream, timeout=120)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, proxy: FaultProxy, port: int) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that end in the middle are what this proxy is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else small answers wait for acknowledgements

    @property
    def _proxy(self) -> FaultProxy:
        assert isinstance(self.server, _Listener)
        return self.server.proxy

    def handle(self) -> None:
        with self._proxy.connection(self.connection):
            try:
                super().handle()
            except (Cut, OSError, http.client.HTTPException):
                self.close_connection = True
                _reset(self.connection)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _serve(self) -> None:
        proxy = self._proxy
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = proxy.note(_request(self.command, self.path, headers))
        proxy.hold(fault.pause)
        if fault.drop:
            raise Cut
        if fault.answer:
            for _ in self._body():
                pass
            self._refuse(*fault.answer)
            return
        upstream = proxy.ask_server()
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                # Neither is signed; the proxy has answered the one and speaks for itself in the other.
                if name.lower() not in ("expect", "connection"):
                    upstream.putheader(name, value)
            upstream.endheaders()
            self._pass_body(upstream, fault.cut_request)
            answer = upstream.getresponse()
            if fault.lose_answer:
                answer.read()
                raise Cut
            self._pass_answer(answer, fault)
        finally:
            upstream.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

    def _body(self) -> Iterator[bytes]:
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            block = self.rfile.read1(min(_BLOCK, left))
            if not block:
                raise Cut
            left -= len(block)
            yield block

    def _pass_body(self, upstream: http.client.HTTPConnection, most: int | None) -> None:
        passed = 0
        for block in self._body():
            if most is not None and passed + len(block) >= most:
                upstream.send(block[: most - passed])
                raise Cut
            upstream.send(block)
            passed += len(block)

    def _pass_answer(self, answer: http.client.HTTPResponse, fault: Fault) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        if answer.getheader("Content-Length") is None and not bodiless:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        size, wait = fault.trickle or (_BLOCK, 0.0)
        passed = 0
        while block := answer.read(size):
            if fault.cut_response is not None and passed + len(block) >= fault.cut_response:
                self.wfile.write(block[: fault.cut_response - passed])
                self.close_connection = True
                return
            self.wfile.write(block)
            passed += len(block)
            time.sleep(wait)

    def _refuse(self, status: int, code: str) -> None:
        message = {
            "AccessDenied": "not entitled",
            "SlowDown": "Please reduce your request rate.",
        }.get(code, code)
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
        ).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


def _reset(connection: socket.socket) -> None:
    """End a connection at once, as a broken network does, and wake the thread that reads from it."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
