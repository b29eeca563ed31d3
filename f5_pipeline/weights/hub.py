"""The Hugging Face hub: listings of a repository at a commit, and downloads of its files.

The library `huggingface_hub` gets the metadata. It is not used for downloads: it writes each try to its own file, which
it removes when the process ends, so that the next process starts again; and it compares sizes, not hashes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from f5_pipeline.weights.errors import RetryableWeightsError, WeightsError

if TYPE_CHECKING:
    import httpx

MAX_TRIES = 6
"""Tries without a new byte after which a download gives up; the next call resumes it."""

_MAX_WAIT_SECONDS = 60.0
_RETRYABLE = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository.

    Attributes:
        path: in the repository.
        size: bytes.
        sha256: of the content, where the hub has it (large files).
        git_oid: git's hash of it (small files).
    """

    path: str
    size: int
    sha256: str | None
    git_oid: str | None


@dataclass(frozen=True)
class Listing:
    """The files of a repository at a commit, by path."""

    repo: str
    revision: str
    files: Mapping[str, RemoteFile]


class Hub:
    """A hub that speaks Hugging Face's protocol.

    Args:
        endpoint: its URL.
        token: for gated repositories; sent to this URL only, never part of a message.
        offline: raise instead of sending requests.
        pause: seconds before the second try; it doubles from try to try.
    """

    def __init__(self, endpoint: str, *, token: str | None = None, offline: bool = False, pause: float = 1.0) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._token = token
        self._offline = offline
        self._pause = pause

    def listing(self, repo: str, revision: str | None) -> Listing:
        """The files of `repo` at a commit, or of its main branch if `revision` is None.

        Raises:
            WeightsError: offline, no such repository or commit, or no permission.
            RetryableWeightsError: the hub cannot be reached or is overloaded.
        """
        self._check_online(repo)
        import httpx
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

        api = HfApi(endpoint=self.endpoint, token=self._token or False)
        failed = 0
        while True:
            try:
                info = api.model_info(repo, revision=revision, files_metadata=True, timeout=30)
                break
            except OfflineModeIsEnabled:
                raise self._offline_error(repo) from None
            except HfHubHTTPError as error:
                status, after = error.response.status_code, error.response.headers.get("Retry-After")
                if status not in _RETRYABLE:
                    raise self._refused(status, f"{repo} at {revision or 'main'}") from None
                problem = f"answered {status}"
            except httpx.HTTPError as error:
                problem, after = _describe(error), None
            except HFValidationError:
                raise WeightsError(f"{repo!r} is no name of a repository", hint="Write it as owner/name.") from None
            except (ValueError, KeyError, TypeError):
                raise WeightsError(
                    f"what answers for {repo} is no hub that speaks Hugging Face's protocol",
                    file=self.endpoint,
                    hint="Check F5_HUB, and whether a proxy or a login page answers in its place.",
                ) from None
            failed += 1
            self._wait(failed, after, repo, problem)
        files = {}
        for sibling in info.siblings or []:
            lfs = sibling.lfs
            size = lfs.size if lfs else sibling.size
            if size is not None:
                sha256 = lfs.sha256 if lfs else None
                files[sibling.rfilename] = RemoteFile(sibling.rfilename, size, sha256, sibling.blob_id)
        if not info.sha:
            raise WeightsError(f"the hub tells no commit of {repo}", file=self.endpoint, hint="Check F5_HUB.")
        return Listing(repo, info.sha, files)

    def download(
        self, repo: str, revision: str, path: str, size: int, partial: Path, on_bytes: Callable[[int], None]
    ) -> int:
        """Append to `partial` until it has the `size` bytes of a file; return how many bytes were received.

        An interrupted download is resumed, here and by the next call of any process. The content is not checked here:
        the cache compares hashes before it accepts the file.

        Args:
            on_bytes: called with the size of `partial` as it grows.

        Raises:
            WeightsError: offline, refused, or the file is not there.
            RetryableWeightsError: no more bytes arrive.
        """
        import httpx

        what = f"{repo}/{path}"
        self._check_online(what)
        url = f"{self.endpoint}/{repo}/resolve/{revision}/{quote(path)}"
        received, longest, failed = 0, 0, 0
        # Every try starts at the hub's own URL: the one that it redirects to is signed and expires.
        timeout = httpx.Timeout(30, connect=15)
        with httpx.Client(follow_redirects=True, timeout=timeout, headers=self._headers()) as client:
            while True:
                have = _size(partial)
                longest = max(longest, have)
                if have > size:
                    partial.unlink()
                    have = 0
                if have == size:
                    partial.touch()
                    return received
                after = None
                try:
                    with client.stream("GET", url, headers={"Range": f"bytes={have}-"} if have else {}) as response:
                        status, after = response.status_code, response.headers.get("Retry-After")
                        if status == 416:
                            partial.unlink()
                            problem = "answered 416"
                        elif status == 206 and not _starts_at(response, have):
                            partial.unlink()
                            problem = "answered another part than was asked for"
                        elif status in (200, 206):
                            problem = "the connection was cut"
                            position = have if status == 206 else 0
                            with partial.open("ab" if position else "wb", buffering=0) as out:
                                for block in response.iter_raw():  # unbuffered: an interruption loses nothing
                                    out.write(block)
                                    received += len(block)
                                    position += len(block)
                                    if position > size:
                                        raise WeightsError(
                                            f"the hub sends more of {what} than the {size} bytes it has",
                                            file=self.endpoint,
                                            hint="Check F5_HUB, or pull again later.",
                                        )
                                    on_bytes(position)
                        elif status in _RETRYABLE:
                            problem = f"answered {status}"
                        else:
                            raise self._refused(status, f"{what} at {revision[:12]}")
                except httpx.HTTPError as error:
                    problem = _describe(error)
                if _size(partial) == size:
                    return received
                # Only bytes beyond the longest state so far are progress.
                failed = 0 if _size(partial) > longest else failed + 1
                if failed:
                    self._wait(failed, after, what, problem)

    def _headers(self) -> dict[str, str]:
        # A compressed download could not be resumed.
        headers = {"Accept-Encoding": "identity", "User-Agent": "f5-pipeline"}
        return {**headers, "Authorization": f"Bearer {self._token}"} if self._token else headers

    def _wait(self, failed: int, after: str | None, what: str, problem: str) -> None:
        if failed >= MAX_TRIES:
            raise RetryableWeightsError(
                f"{what} could not be had from the hub: {problem}",
                file=self.endpoint,
                hint="Look at the network and F5_HUB and try again: what has come is kept.",
            )
        requested = float(after) if after and after.isdigit() else 0.0
        time.sleep(min(max(requested, self._pause * 2 ** (failed - 1)), _MAX_WAIT_SECONDS))

    def _refused(self, status: int, what: str) -> WeightsError:
        if status in (401, 403):
            return WeightsError(
                f"the hub refuses {what} ({status}): it is gated or private, or not there",
                file=self.endpoint,
                hint="The token in F5_HUB_TOKEN has no access."
                if self._token
                else "Accept its terms on the hub and set F5_HUB_TOKEN to a token that may read it.",
            )
        if status == 404:
            return WeightsError(f"the hub has no {what}", file=self.endpoint, hint="Check the name, or F5_HUB.")
        return WeightsError(f"the hub answered {status} when asked for {what}", file=self.endpoint)

    def _check_online(self, what: str) -> None:
        if self._offline:
            raise self._offline_error(what)

    def _offline_error(self, what: str) -> WeightsError:
        host = urlsplit(self.endpoint).netloc
        return WeightsError(
            f"{what} is neither in the cache nor in the store, and the hub ({host}) may not be asked",
            hint="Unset F5_OFFLINE and HF_HUB_OFFLINE for one `f5-pipeline weights pull`, or set F5_STORE or F5_CACHE "
            "to one that has it.",
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _starts_at(response: httpx.Response, start: int) -> bool:
    """Whether a partial response begins at byte `start`."""
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return match is not None and int(match[1]) == start


def _describe(error: Exception) -> str:
    """The failure in words, without the URL: the one that the hub redirects to is signed."""
    import httpx

    kinds: dict[type[Any], str] = {
        httpx.TimeoutException: "no answer in time",
        httpx.ConnectError: "no connection",
        httpx.RemoteProtocolError: "the connection was cut",
        httpx.ReadError: "the connection was cut",
    }
    return next((text for kind, text in kinds.items() if isinstance(error, kind)), type(error).__name__)
