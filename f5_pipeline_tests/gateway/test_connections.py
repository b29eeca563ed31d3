"""Connections that send or read nothing: they end, and leave the others served."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from f5_pipeline.gateway import connections
from f5_pipeline_tests.support.waiting import wait_for


async def _large(request: Request) -> StreamingResponse:
    async def blocks():
        for _ in range(4096):
            yield bytes(1 << 16)
            await asyncio.sleep(0)

    return StreamingResponse(blocks())


async def _whole(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


class Server(uvicorn.Server):
    address: tuple[str, int]

    @property
    def open(self) -> int:
        return len(self.server_state.connections)


@contextmanager
def serving(**limits: float) -> Iterator[Server]:
    protocol = type("Short", (connections.BoundedProtocol,), limits)
    app = Starlette(routes=[Route("/large", _large), Route("/", _whole, methods=["GET", "POST"])])
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, proxy_headers=False))
    server.address = listener.getsockname()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    wait_for("start", lambda: server.started)
    try:
        yield server
    finally:
        server.should_exit = server.force_exit = True
        thread.join()
        listener.close()


def ends(connection: socket.socket) -> bool:
    connection.settimeout(60)
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(1 << 16):
            pass
    return True


def test_half_a_head_is_not_waited_for():
    with serving(head_seconds=0.3) as server, contextlib.ExitStack() as stack:
        halves = [stack.enter_context(socket.create_connection(server.address)) for _ in range(40)]
        for half in halves[:20]:
            half.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-A")
        url = "http://{}:{}/".format(*server.address)
        assert httpx.get(url).status_code == 200
        assert all(map(ends, halves))
        assert httpx.post(url, content=b"x" * 100_000).text == "100000"
        wait_for("end of them all", lambda: server.open == 0 or None)


def test_who_sends_a_head_letter_by_letter_has_no_longer():
    with serving(head_seconds=0.5) as server, socket.create_connection(server.address) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            wait_for("end", lambda: slow.sendall(b"X: y\r\n"))


def test_an_answer_that_is_not_read_ends():
    with serving(stalled_seconds=0.3) as server, socket.create_connection(server.address) as reader:
        reader.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for("end", lambda: server.open == 0 and not server.server_state.tasks)
        url = "http://{}:{}/large".format(*server.address)
        assert len(httpx.get(url).content) == 4096 << 16, "one that is read comes whole"


def test_an_address_has_its_share():
    with serving(share=5) as server, contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(server.address)) for _ in range(5)]
        wait_for("connections", lambda: server.open == 5)
        assert ends(stack.enter_context(socket.create_connection(server.address)))
        held[0].close()
        wait_for("place", lambda: server.open == 4)
        assert httpx.get("http://{}:{}/".format(*server.address)).status_code == 200
