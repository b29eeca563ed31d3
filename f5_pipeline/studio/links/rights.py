"""Commercial use: a narration that is marked commercial needs a model and voices that allow it."""

from __future__ import annotations

from collections.abc import Iterable

from f5_pipeline.errors import InputError
from f5_pipeline.store.base import Store
from f5_pipeline.studio.records import EngineWeights, Plan, Voice
from f5_pipeline.studio.voices import find_voice


def check_delivery(store: Store, plan: Plan) -> None:
    """Check that model and voices, as they are now, still allow the use a narration is marked for. Raises as
    `check_rights`."""
    if plan.commercial:
        voices = [voice for name in plan.voices if (voice := find_voice(store, name))]
        check_rights(plan.weights, voices, plan.script.key)


def check_rights(weights: EngineWeights, voices: Iterable[Voice], file: str) -> None:
    """Check that a narration may be used commercially.

    Args:
        file: named by the error.

    Raises:
        InputError: the model's licence or a voice does not allow it, or does not say so.
    """
    hint = "Take another, or remove 'commercial' from the script."
    if weights.commercial_use != "yes":
        state = "is disputed" if weights.commercial_use == "disputed" else "is not allowed"
        raise InputError(
            f"the narration is marked commercial, but commercial use of {weights.name} ({weights.licence}) {state}",
            file=file,
            hint=f"{hint} See: f5-pipeline weights list.",
        )
    for voice in voices:
        if voice.commercial_use != "yes":
            state = "does not allow it" if voice.commercial_use == "no" else "does not say that it allows it"
            raise InputError(
                f"the narration is marked commercial, but voice {voice.name!r} {state}",
                file=file,
                hint=f"{hint} Where its owner agrees: f5-pipeline voices add {voice.name} … --commercial-use yes.",
            )
