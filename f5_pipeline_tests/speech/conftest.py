"""What several files of tests speak and measure with."""

from __future__ import annotations

import pytest

from f5_pipeline.speech.alignment.renderings import Drafts
from f5_pipeline_tests.support.spoken import speakers


@pytest.fixture(scope="module")
def drafts():
    made = Drafts(workers=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def engine():
    made = speakers()
    yield made
    made.close()
