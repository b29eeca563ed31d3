"""Runs the download service with uvicorn."""

from __future__ import annotations

import copy
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from f5_pipeline.errors import InputError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

GRACE_SECONDS = 10
"""How long downloads in flight may go on after a stop signal."""


def serve(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 3001,
    trusted_proxies: str | None = None,
    grace_seconds: int = GRACE_SECONDS,
    on_ready: Callable[[str], object] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is in flight and return.

    Args:
        app: made by `create_app`.
        host: address or name to listen on; "0.0.0.0" or "::" for all of the machine.
        port: TCP port, 0 for any free one.
        trusted_proxies: addresses or networks, comma separated, or "*", whose X-Forwarded-* headers are trusted;
            None for no proxy.
        grace_seconds: how long downloads in flight may go on.
        on_ready: called with the base URL once connections are accepted.

    Raises:
        InputError: the address cannot be listened on.
    """
    import uvicorn
    from uvicorn.config import LOGGING_CONFIG

    from f5_pipeline.gateway.connections import MAX_CONNECTIONS, BoundedProtocol

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started and on_ready is not None:
                on_ready(url)

    listener = _listen(host, port)
    bound = listener.getsockname()[1]
    url = f"http://{f'[{host}]' if ':' in host else host}:{bound}"
    config = uvicorn.Config(
        app,
        host=host,
        port=bound,
        http=BoundedProtocol,  # h11 limits the size of a request's headers; httptools takes a URL of any length
        limit_concurrency=MAX_CONNECTIONS,
        ws="none",  # its handshake would log the path, which contains the token
        lifespan="off",
        log_config=_log_config(LOGGING_CONFIG),
        access_log=False,  # it would log paths, which contain tokens; the app has its own log
        server_header=False,
        proxy_headers=trusted_proxies is not None,
        forwarded_allow_ips=trusted_proxies,
        timeout_graceful_shutdown=grace_seconds,
    )
    with listener, _signals_end_quietly():
        Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise InputError(f"{port} is not a port", hint="Choose one from 1 to 65535, or 0 for any free one.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"the download service cannot listen on {host} port {port} ({reason})",
            hint="Choose another host or port, or stop what uses this one.",
        ) from None
    listener.setblocking(False)
    return listener


@contextmanager
def _signals_end_quietly() -> Iterator[None]:
    # After a graceful stop uvicorn raises the signal again with the earlier handlers: with these `serve` returns
    # normally instead of dying by the signal.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_config(base: dict[str, Any]) -> dict[str, Any]:
    config = copy.deepcopy(base)
    config["loggers"]["f5_pipeline.gateway"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    return config
