"""Requests as clients of the replaced serverless worker send them, and what they read in the answers: parity.jsonl.

In it, `$name` stands for a value, and a string that begins with `~` is a regular expression.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

from f5_pipeline.speech.captions.one_word import ONE_WORD
from f5_pipeline_tests.gateway.api.conftest import Api
from f5_pipeline_tests.support.installation import EXAMPLES


def fits(expected: Any, given: Any) -> bool:
    """Whether an answer holds what is expected of it; it may hold more."""
    if isinstance(expected, dict):
        return isinstance(given, dict) and all(fits(value, given.get(name)) for name, value in expected.items())
    if isinstance(expected, list):
        return isinstance(given, list) and len(expected) == len(given) and all(map(fits, expected, given))
    if isinstance(expected, str) and expected.startswith("~"):
        return re.search(expected[1:], str(given)) is not None
    return expected == given


def test_parity(api: Api):
    client = api.client(api.key())
    transcript = (EXAMPLES / "voices" / "ada.txt").read_text()
    values = {
        "recording64": base64.b64encode((EXAMPLES / "voices" / "ada.flac").read_bytes()).decode(),
        "transcript64": base64.b64encode(transcript.encode()).decode(),
        "transcript": transcript.strip(),
    }

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(entry) for name, entry in value.items()}
        if isinstance(value, list):
            return list(map(filled, value))
        return re.sub(r"\$(\w+)", lambda match: values[match[1]], value) if isinstance(value, str) else value

    done: dict[str, Any] = {}
    for line in Path(__file__).with_name("parity.jsonl").read_text().splitlines():
        step = json.loads(line)
        if "deliver" in step:
            api.deliver(values["job"])
            continue
        method = "post" if "post" in step else "get"
        body = {"json": filled(step["body"])} if "body" in step else {}
        path = filled(step[method]) + ("?wait=0" if step[method] == "/runsync" else "")
        answer = client.request(method, path, **body)
        assert answer.status_code == 200, (step["step"], answer.text)
        assert fits(filled(step["answer"]), answer.json()), (step["step"], answer.text[:2000])
        if "keep" in step:
            values[step["keep"]] = answer.json()["id"]
        done[step["step"]] = answer.json()

    result = done["its result"]["output"]
    assert client.get(result["audio_url"]).content.startswith((b"fLaC", b"RIFF"))
    rows = list(csv.reader(io.StringIO(client.get(result["timing_files"]["compact"]).text)))
    assert rows[0] == ["word", "start_time", "end_time"]
    assert [row[0] for row in rows[1:]] == ["Good", "day,", "{you}.", "Fine", "words."]
    assert all(float(begin) < float(end) for _, begin, end in rows[1:])


def test_every_timing_format_has_one_word_a_cue(api: Api):
    import pysubs2

    client = api.client(api.key())
    given = {"text": "Good day, {you}. <b>Fine</b> words.", "voice": "ada", "timing_formats": list(ONE_WORD)}
    name = client.post("/v1/narrations", json=given).json()["id"]
    api.deliver(name)
    urls = client.get(f"/v1/narrations/{name}/result").json()["timing_files"]
    texts = {name: client.get(url).text for name, url in urls.items()}
    words = ["Good", "day,", "{you}.", "Fine", "words."]
    assert [entry["word"] for entry in json.loads(texts["json"])] == words
    for kind in ("srt", "vtt", "ass"):
        assert len(pysubs2.SSAFile.from_string(texts[kind], format_=kind)) == len(words), kind
    assert client.get(urls["srt"].replace(".word.srt", ".word.vtt")).status_code == 403, "a link is for one file"
