"""Ray's clients of jobs and of states, made patient: a head that does not answer for a while ends no run.

Of itself the first waits for an answer for ever, and both give up at once where there is no connection: the run would
fail and leave its steps at work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

ANSWER_SECONDS = 20.0
"""How long an answer may take."""

SILENT_SECONDS = 300.0
"""How long Ray may be away: a head that is started again, a network that is mended."""

_PAUSE = 2.0
_AWAY = (502, 503, 504)  # what stands before Ray says so


class Patience:
    """Asks as the `_do_request` of Ray's clients does, and again while nobody answers.

    Raises:
        RuntimeError: nobody has answered for SILENT_SECONDS. Ray's client raises it too, where Ray refuses.
    """

    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask
        self._silent_since: float | None = None

    def __call__(self, method: str, endpoint: str, **more: Any) -> Any:
        more.setdefault("timeout", ANSWER_SECONDS)
        while True:
            try:
                answer = self._ask(method, endpoint, **more)
            except OSError as error:  # that of a connection, or of requests
                silence = type(error).__name__
            else:
                if answer.status_code not in _AWAY:
                    self._silent_since = None
                    return answer
                silence = f"status {answer.status_code}"
            now = time.monotonic()
            self._silent_since = self._silent_since or now
            if now - self._silent_since > SILENT_SECONDS:
                raise RuntimeError(
                    f"Ray has not answered for {SILENT_SECONDS:.0f} s ({silence}). What was made is kept: do the same "
                    "again when it answers."
                )
            time.sleep(_PAUSE)
