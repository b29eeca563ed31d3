"""Webhooks: what has ended is told to an address, signed as the specification of Standard Webhooks 1.0 says.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr

from f5_pipeline import __version__
from f5_pipeline.errors import InputError
from f5_pipeline.studio.links.tokens import load_secret
from f5_pipeline.system.addresses import Address, is_public, pin

SECRET_FILE = "webhook-secret"

SEND_SECONDS = 15.0
"""For all of an attempt: its host's addresses, the connection, the answer's head."""

WAIT_SECONDS = (30.0, 120.0, 600.0, 1800.0, 7200.0, 21600.0, 54000.0)
"""Between attempts: eight of them in a day."""


class Webhook(BaseModel):
    """Who is to be told of a narration or batch, and the message about its newest end."""

    url: str
    title: str = ""
    trusted: bool = Field(default=False, description="the installation's own: it may be in its own network, and http")
    state: Literal["waiting", "sending", "delivered", "failed"] = "waiting"
    ended: float = Field(default=0.0, description="POSIX time of the end that the message is about, s")
    id: str = ""
    body: str = Field(default="", description="JSON; the same at every attempt")
    attempts: int = 0
    due: float = Field(default=0.0, description="POSIX time of the next attempt, s")
    answer: str | None = None

    def with_message(self, subject: str, kind: str, ended: float, **content: Any) -> Webhook:
        """The same for another end; a message about an earlier one that was not delivered yet is dropped.

        Args:
            subject: the narration or run.
            kind: "narration" or "batch"; `content["state"]` says how it ended.
        """
        at = datetime.fromtimestamp(ended, timezone.utc).isoformat()
        body = {"type": f"{kind}.{content['state']}", "timestamp": at, "id": subject, **content}
        identifier = "msg_" + sha256(f"{subject}\0{content['state']}\0{ended!r}".encode()).hexdigest()[:27]
        message = {"id": identifier, "body": json.dumps(body, ensure_ascii=False), "ended": ended}
        return Webhook(url=self.url, title=self.title, trusted=self.trusted, state="sending", **message)

    def begun(self, now: float) -> Webhook:
        """As it stands while an attempt is made: what is killed meanwhile is tried again after the usual wait."""
        wait = WAIT_SECONDS[min(self.attempts, len(WAIT_SECONDS) - 1)]
        return self.model_copy(update={"attempts": self.attempts + 1, "due": now + wait})

    def answered(self, answer: str) -> Webhook:
        """As it stands after an attempt. 410 (Gone) asks for no further one."""
        over = answer == "410" or self.attempts > len(WAIT_SECONDS)
        delivered = answer.isdecimal() and 200 <= int(answer) < 300
        state = "delivered" if delivered else "failed" if over else "sending"
        return self.model_copy(update={"state": state, "answer": answer})


def open_secrets(home: Path, secret: SecretStr | None) -> list[str]:
    """The secrets that sign, the newest first; where none is given, one is drawn and kept in `home`.

    Raises:
        InputError: it is no `whsec_` and base64 of 24 to 64 bytes, or cannot be read or stored.
    """

    def draw() -> str:
        return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()

    given = secret.get_secret_value() if secret else None
    found = load_secret(home / SECRET_FILE, given, env_name="F5_WEBHOOK_SECRET", draw=draw)
    for one in found:
        try:
            size = len(base64.b64decode(one.removeprefix("whsec_"), validate=True)) if one[:6] == "whsec_" else 0
        except ValueError:
            size = 0
        if not 24 <= size <= 64:
            hint = "It is whsec_ and base64 of 24 to 64 bytes. Without one, a secret is drawn: f5-pipeline keys webhook"
            raise InputError("the secret of webhooks has another form", file="F5_WEBHOOK_SECRET", hint=hint)
    return found


def signed_headers(hook: Webhook, keys: Iterable[str], now: float) -> dict[str, str]:
    """The headers of an attempt; each of several secrets signs, so that they can be exchanged."""
    from standardwebhooks import Webhook as Signer

    moment = datetime.fromtimestamp(int(now), timezone.utc)
    signature = " ".join(Signer(key).sign(hook.id, moment, hook.body) for key in keys)
    return {
        "content-type": "application/json",
        "user-agent": f"f5_pipeline/{__version__}",
        "webhook-id": hook.id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": signature,
    }


def send_all(
    hooks: Iterable[Webhook], keys: Iterable[str], now: float, allowed: Callable[[Address], bool] = is_public
) -> list[str]:
    """One attempt at each, side by side; the answers' statuses, or why there was none, in the same order.

    Returns after `SEND_SECONDS` whatever the receivers do. Redirects are not followed, answers are not read.

    Args:
        allowed: whether an address that is not trusted may be connected to.
    """
    import anyio

    hooks, keys = list(hooks), list(keys)
    answers = ["no answer"] * len(hooks)

    async def attempt(number: int) -> None:
        answers[number] = await _send(hooks[number], signed_headers(hooks[number], keys, now), allowed)

    async def attempts() -> None:
        async with anyio.create_task_group() as group:
            for number in range(len(hooks)):
                group.start_soon(attempt, number)

    anyio.run(attempts)
    return answers


async def _send(hook: Webhook, headers: dict[str, str], allowed: Callable[[Address], bool]) -> str:
    import anyio
    import httpx

    schemes = ("http", "https") if hook.trusted else ("https",)
    resolve = partial(pin, hook.url, (lambda _: True) if hook.trusted else allowed, schemes=schemes)
    try:
        with anyio.fail_after(SEND_SECONDS):
            target = await anyio.to_thread.run_sync(resolve, abandon_on_cancel=True)
            async with (
                httpx.AsyncClient(trust_env=False, timeout=SEND_SECONDS) as client,
                client.stream(
                    "POST",
                    target.url,
                    content=hook.body.encode(),
                    headers={**headers, **target.headers},
                    extensions=target.extensions,
                ) as answer,
            ):
                return str(answer.status_code)
    except TimeoutError:
        return f"no answer in {SEND_SECONDS:g} s"
    except InputError as error:
        return error.message
    except (httpx.HTTPError, httpx.StreamError, OSError, ValueError) as error:
        return f"it cannot be reached ({type(error).__name__})"
