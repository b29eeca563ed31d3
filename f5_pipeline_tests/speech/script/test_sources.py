"""The table of sources: what reads it, and what it may cost to read it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from f5_pipeline.speech.script.model import ScriptOptions, parse_script
from f5_pipeline.speech.script.sources import SOURCES
from f5_pipeline.store.layout import SCRIPT_EXTENSIONS


@pytest.mark.parametrize("suffix", SOURCES)
def test_each_source_is_kept_and_read(suffix: str) -> None:
    assert suffix in SCRIPT_EXTENSIONS
    data = b'gen_text = "Hello."' if suffix == ".toml" else b"Hello."
    script = parse_script(data, f"a{suffix.upper()}", ScriptOptions(voice="ada"))
    assert [passage.text for passage in script.passages] == ["Hello."]


def test_keys_are_made_without_the_readers() -> None:
    code = "import sys, f5_pipeline.store.layout; print({'pydantic', 'yaml', 'markdown_it'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
