"""What this process has answered and sent, counted for Prometheus."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, disable_created_metrics
from starlette.types import Scope

disable_created_metrics()

_SCOPE = "f5_pipeline.traffic"
_AREAS = {"d": "link", "n": "page", "static": "page", "healthz": "health", "metrics": "metrics"}


class Traffic:
    """The counters of a service. Threads share them.

    Args:
        api_folders: first parts of the paths of the API.
    """

    def __init__(self, api_folders: Collection[str] = ()) -> None:
        self._areas = {**dict.fromkeys(api_folders, "api"), **_AREAS}
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._responses = self._counter("http_responses", "Answers, by what was asked for and status.", "area", "code")
        self._downloads = self._counter(
            "link_downloads", "Downloads by links that were begun here or redirected to the store."
        )
        self._bytes = self._counter("link_sent_bytes", "Bytes that were sent for links.")
        self._store_errors = self._counter("store_errors", "Requests that the store did not answer as it should.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"f5_pipeline_{name}", text, labels, registry=self.registry)

    def count(self, scope: Scope, status: int, headers: Mapping[str, str], sent: int) -> None:
        """Count an answer.

        Args:
            status: 0 where the connection ended before there was one.
            sent: bytes of its body.
        """
        area = self._areas.get([*scope["path"].split("/"), ""][1], "other")
        self._responses.labels(area, str(status)).inc()
        if area == "link":
            self._bytes.inc(sent)
            # A player asks for many ranges of a file; the first byte is in one of them.
            begins = status in (200, 307) or (status == 206 and headers.get("content-range", "").startswith("bytes 0-"))
            if begins and scope["method"] == "GET":
                self._downloads.inc()

    def count_store_error(self) -> None:
        self._store_errors.inc()


def attach(scope: Scope, traffic: Traffic) -> None:
    """Let the apps behind this scope find `traffic`."""
    scope[_SCOPE] = traffic


def traffic_of(scope: Scope) -> Traffic:
    """The counters of the service that answers."""
    if _SCOPE not in scope:  # the API alone
        attach(scope, Traffic())
    return scope[_SCOPE]
