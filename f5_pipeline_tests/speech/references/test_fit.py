"""Which run of a transcript is taken, by how its text fits the sound."""

from __future__ import annotations

import pytest

from f5_pipeline.speech.references.cut import Run
from f5_pipeline.speech.references.fit import Fit, Fitting, fitting_run

SURE, NEARLY, DOUBTFUL = Fit(0.9, 0.8, 0.5), Fit(0.62, 0.2, 0.4), Fit(0.3, 0.05, 0.1)
WHOLE = Run(1.0, 8.0, "We descended in silence until the lights flickered and the elevator jerked to a stop.")
PART = Run(1.0, 4.5, "We descended in silence until the lights", whole=False)


class Fits(Fitting):
    """Fits as they were measured."""

    def __init__(self, fits: dict[str, Fit]) -> None:
        self.fits = fits

    def fit(self, start: float, end: float, text: str) -> Fit:
        return self.fits[text]

    def exact(self, run: Run, fit: Fit) -> bool:
        return True


@pytest.mark.parametrize("runs", [[WHOLE, PART], [PART, WHOLE]])
@pytest.mark.parametrize(
    ("whole", "part", "taken"),
    [(SURE, SURE, WHOLE), (NEARLY, SURE, WHOLE), (DOUBTFUL, SURE, PART), (DOUBTFUL, NEARLY, None)],
)
def test_a_nearly_sure_sentence_goes_before_a_sure_part_of_one(
    runs: list[Run], whole: Fit, part: Fit, taken: Run | None
) -> None:
    assert SURE.good and NEARLY.passable and not NEARLY.good and not DOUBTFUL.passable
    run, _, exact = fitting_run(runs, Fits({WHOLE.text: whole, PART.text: part}), 8.0)
    assert exact == (taken is not None)
    if taken:
        assert run == taken
