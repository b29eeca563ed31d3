"""Connections with deadlines, and a share for each address: who sends or reads nothing leaves the others served."""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 15.0
"""How long a connection may take for the head of a request."""

STALLED_SECONDS = 120.0
"""How long a client may leave an answer unread."""

MAX_CONNECTIONS = 1000
"""Further ones are refused (503)."""

MAX_CONNECTIONS_AN_ADDRESS = 200
"""Further ones are closed, except behind proxies, whose address all clients share."""


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol, which itself waits without end for the head of a request and for readers of an answer."""

    head_seconds, stalled_seconds, share = HEAD_SECONDS, STALLED_SECONDS, MAX_CONNECTIONS_AN_ADDRESS
    _head: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        clients = (getattr(connection, "client", None) for connection in self.connections)
        same = sum(client is not None and client[0] == address for client in clients)
        if same > self.share and not self.config.proxy_headers:
            transport.abort()
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget("_head")
        self._forget("_stalled")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._await_head()
        else:
            self._forget("_head")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self._stalled or self.loop.call_later(self.stalled_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._forget("_stalled")
        super().resume_writing()

    def _await_head(self) -> None:
        # From the first byte of a head on: later ones do not extend it.
        self._head = self._head or self.loop.call_later(self.head_seconds, self.transport.abort)

    def _forget(self, timer: str) -> None:
        handle = cast("asyncio.TimerHandle | None", getattr(self, timer))
        if handle is not None:
            handle.cancel()
            setattr(self, timer, None)
