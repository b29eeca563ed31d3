"""What a narration may be used for: its model's licence, and what the speakers of its voices have agreed to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timezone
from fnmatch import fnmatchcase

from f5_pipeline.errors import InputError
from f5_pipeline.speech import engines
from f5_pipeline.speech.text.languages import base
from f5_pipeline.store.base import Store
from f5_pipeline.studio.records import EngineWeights, Plan, Voice
from f5_pipeline.studio.voices import find_voice


def check_delivery(store: Store, plan: Plan) -> None:
    """Check that model and voices, as they are now, still allow what a narration is. Raises as `check_rights` and
    `check_consent`."""
    clones = clones_voices(plan.engine)
    if plan.commercial or clones:
        voices = [voice for name in plan.voices if (voice := find_voice(store, name))]
        if plan.commercial:
            check_rights(plan.weights, voices, plan.script.key)
        if clones:
            check_consent(voices, plan.narration, plan.language, plan.script.key)


def clones_voices(engine: str) -> bool:
    """Whether an engine speaks in the voices of the recordings; of one that is unknown here, it may."""
    spec = engines.find(engine)
    return spec is None or spec.clones


def check_consent(
    voices: Iterable[Voice],
    narration: str,
    language: str,
    file: str,
    *,
    required: bool = False,
    today: date | None = None,
) -> None:
    """Check that the speakers of voices agree to a narration.

    Args:
        file: named by the error.
        required: refuse voices without a recorded consent too.
        today: in UTC; now where None.

    Raises:
        InputError: a consent was withdrawn, is over, or does not cover it.
    """
    today = today or datetime.now(timezone.utc).date()
    for voice in voices:
        consent, problem = voice.consent, None
        if consent is None:
            problem = "has no recorded consent of its speaker" if required else None
        elif consent.withdrawn:
            problem = f"may not be used: its speaker withdrew the consent on {consent.withdrawn[:10]}"
        elif consent.until is not None and today > consent.until:
            problem = f"may not be used: the consent of its speaker ended on {consent.until}"
        elif consent.narrations and not any(fnmatchcase(narration, pattern) for pattern in consent.narrations):
            problem = f"may be used for {', '.join(consent.narrations)} only"
        elif consent.languages and not any(tag in (language, base(language)) for tag in consent.languages):
            problem = f"may be used in {', '.join(consent.languages)} only, and this is {language}"
        if problem:
            raise InputError(
                f"the voice {voice.name!r} {problem}",
                file=file,
                hint=f"Take another voice. Where its speaker agrees: f5-pipeline voices consent {voice.name}.",
            )


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
