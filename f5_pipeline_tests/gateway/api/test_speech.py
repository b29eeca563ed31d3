"""OpenAI's speech endpoint, asked by OpenAI's own client."""

from __future__ import annotations

import io
import time

import numpy as np
import openai
import pytest
import soundfile

from f5_pipeline.gateway.api import speech
from f5_pipeline.speech import engines
from f5_pipeline_tests.gateway.api.conftest import HERE, Api
from f5_pipeline_tests.support.toy_engine import TOY

TEXT = "Good day. How are you? I am well, thank you, and you seem to be well too."


@pytest.fixture
def client(api: Api) -> openai.OpenAI:
    key = api.key()
    return openai.OpenAI(api_key=key, base_url=f"{HERE}/v1", http_client=api.client(key), max_retries=0)


def heard(content: bytes, file_format: str) -> np.ndarray:
    if file_format == "pcm":
        return np.frombuffer(content, "<i2") / 32768
    samples, rate = soundfile.read(io.BytesIO(content))
    assert rate == 24_000
    return samples


def test_every_format_holds_the_same_speech(client):
    lengths = {}
    for file_format in ("mp3", "wav", "flac", "opus", "pcm"):
        answer = client.audio.speech.create(model="draft", voice="ada", input=TEXT, response_format=file_format)
        samples = heard(answer.content, file_format)
        assert np.abs(samples).max() > 0.05, file_format
        lengths[file_format] = len(samples) / 24_000
    assert max(lengths.values()) - min(lengths.values()) < 0.2, lengths
    assert 3 < lengths["wav"] < 12
    slow = client.audio.speech.create(model="tts-1", voice="ada", input=TEXT, response_format="pcm", speed=0.7)
    assert len(slow.content) / 48_000 > 1.2 * lengths["pcm"]


def test_a_warm_worker_answers_before_all_is_spoken(client):
    def first_byte() -> tuple[float, float]:
        begin = time.monotonic()
        given = {"model": "draft", "voice": "ada", "input": TEXT * 20, "response_format": "pcm"}
        with client.audio.speech.with_streaming_response.create(**given) as answer:
            blocks = answer.iter_bytes(1024)
            next(blocks)
            first = time.monotonic() - begin
            assert sum(map(len, blocks)) > 48_000 * 60
        return first, time.monotonic() - begin

    first_byte()
    first, whole = first_byte()
    assert first < whole / 2 or first < 0.3


def test_mistakes_are_told_as_openais_client_reads_them(client):
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.audio.speech.create(model="draft", voice="adda", input="Hello.")
    assert "Did you mean ada?" in refused.value.response.json()["error"]["hint"]
    with pytest.raises(openai.UnprocessableEntityError, match="model"):
        client.audio.speech.create(model="no-model", voice="ada", input="Hello.")
    with pytest.raises(openai.UnprocessableEntityError, match="response_format"):
        client.audio.speech.create(model="draft", voice="ada", input="Hello.", response_format="aac")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="none").audio.speech.create(model="draft", voice="ada", input="Hello.")
    assert speech._SPEAKERS._value == speech.MAX_SPEAKERS, "no place is lost by an error"


def test_another_engine_speaks_and_keeps_its_takes(api: Api, client, monkeypatch):
    monkeypatch.setitem(engines._specs(), "toy", TOY)
    given = {"model": "toy", "voice": "ada", "input": "Good day. How are you?", "response_format": "pcm"}
    first = client.audio.speech.create(**given).content
    takes = [stat.key for stat in api.store.list("takes/")]
    assert len(takes) == 2 and not list(api.store.list("runs/"))
    assert client.audio.speech.create(**given).content == first
    assert [stat.key for stat in api.store.list("takes/")] == takes
