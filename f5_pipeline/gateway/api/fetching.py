"""Files that a request names by URL, fetched without reaching into the network that this service stands in.

Every address of a host must be public, the connection goes to the address that was checked (a name that changes its
address meanwhile reaches nothing), each redirect is checked in the same way, and size and time are limited. Proxies of
the environment are not used: they would resolve the name again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from f5_pipeline.errors import InputError, PipelineError
from f5_pipeline.system.addresses import Address, is_public, pin

MAX_REDIRECTS = 4
MAX_FETCH_SECONDS = 60.0
MAX_FETCH_BYTES = 256 << 20
_BLOCK = 1 << 16
_FETCHES = threading.BoundedSemaphore(8)  # each holds one of the service's threads


class BusyError(PipelineError):
    """Too much is at work at once."""

    retryable = True


class Fetched(NamedTuple):
    """A file from a URL; `name` is the last part of its path."""

    name: str
    data: bytes


def fetch(
    url: str,
    *,
    limit: int = MAX_FETCH_BYTES,
    seconds: float = MAX_FETCH_SECONDS,
    allowed: Callable[[Address], bool] = is_public,
) -> Fetched:
    """Get a file by http or https.

    Args:
        limit: bytes, at most; seconds: for all of it, redirects included.
        allowed: whether an address may be connected to.

    Raises:
        InputError: the URL, or one that it redirects to, is none that may be fetched, or its server does not give it.
    """
    end, begun = time.monotonic() + seconds, url
    if not _FETCHES.acquire(timeout=1):
        raise BusyError("too many files are being fetched", file=url[:200], hint="Try again in a minute.")
    try:
        for _ in range(MAX_REDIRECTS + 1):
            following, data = _get(url, limit, end, allowed)
            if following is None:
                return Fetched(PurePosixPath(unquote(urlsplit(url).path)).name, data)
            url = urljoin(url, following)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
        raise _refusal(begun, f"it cannot be fetched ({type(error).__name__})") from None
    finally:
        _FETCHES.release()
    raise _refusal(begun, f"it redirects more than {MAX_REDIRECTS} times")


def _refusal(
    url: str, problem: str, hint: str = "Give a public http or https address of the file itself."
) -> InputError:
    return InputError(problem, file=url[:200], hint=hint)


def _get(url: str, limit: int, end: float, allowed: Callable[[Address], bool]) -> tuple[str | None, bytes]:
    """The Location of a redirect, or the content."""
    target = pin(url, allowed)
    if (left := end - time.monotonic()) <= 0:
        raise _refusal(url, "it took too long", "Try again, or upload the file itself.")
    headers = {**target.headers, "accept-encoding": "identity"}
    with (
        httpx.Client(trust_env=False, timeout=min(10.0, left)) as client,
        client.stream("GET", target.url, headers=headers, extensions=target.extensions) as answer,
    ):
        if answer.is_redirect:
            return answer.headers.get("location", ""), b""
        if answer.status_code != 200:
            raise _refusal(url, f"its server answers {answer.status_code}", "Correct the address.")
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise _refusal(url, "its server sends it compressed", "Upload the file itself.")
        data = bytearray()
        for block in answer.iter_raw(_BLOCK):
            data += block
            if len(data) > limit:
                raise _refusal(url, f"it has more than {limit >> 20} MiB", "Give a smaller file.")
            if time.monotonic() > end:
                raise _refusal(url, "it took too long", "Try again, or upload the file itself.")
    return None, bytes(data)
