"""What Prometheus reads of a service."""

from __future__ import annotations

import re
from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

Samples = dict[str, dict[tuple[str, ...], float]]


def scrape(client: TestClient) -> Samples:
    """The samples of /metrics: by name, and by values of labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return samples_of(text_string_to_metric_families(answer.text))


def samples_of(metrics: Iterable[Metric]) -> Samples:
    found: Samples = {}
    for sample in (sample for metric in metrics for sample in metric.samples):
        assert tuple(sample.labels.values()) not in found.setdefault(sample.name, {}), f"{sample} is told twice"
        found[sample.name][tuple(sample.labels.values())] = sample.value
    return found


def unknown_metrics(query: str, known: Iterable[str]) -> set[str]:
    """The metrics that a query of Prometheus names, and that nobody has."""
    return set(re.findall(r"\b(?:f5_pipeline|process|python)_\w+", query)) - set(known)
