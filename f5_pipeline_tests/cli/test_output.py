"""What commands tell of long work."""

from __future__ import annotations

import io

from f5_pipeline.cli import output
from f5_pipeline.cli.output import LINE_SECONDS, Progress


def test_lines_come_seldom_and_tell_the_time_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    show = Progress(None, "status", stream)
    for done in range(0, 1001, 10):
        show.count("narrations read", done, 1000)
        now[0] += LINE_SECONDS / 20
    show.count("objects listed", 5, None)
    show.count("objects listed", 6000, None)
    now[0] += 30
    show.count("objects listed", 9000, None)
    assert stream.getvalue().splitlines() == [
        "status: 0 of 1,000 narrations read",
        "status: 200 of 1,000 narrations read, about 0:00:20 left",
        "status: 400 of 1,000 narrations read, about 0:00:15 left",
        "status: 600 of 1,000 narrations read, about 0:00:10 left",
        "status: 800 of 1,000 narrations read, about 0:00:05 left",
        "status: 1,000 of 1,000 narrations read",
        "status: 5 objects listed",
        "status: 9,000 objects listed",
    ]
