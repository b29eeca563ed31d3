"""Checks of a reference's fitness for cloning."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from f5_pipeline.speech.references.record import ReferenceHearing, ReferenceMeasures
from f5_pipeline.speech.text.languages import base


class CheckOutcome(BaseModel):
    """One check of a reference."""

    model_config = ConfigDict(frozen=True)

    name: str
    passed: bool
    severity: Literal["warn", "error"] = Field(description="of its failure; 'warn' where it passed")
    description: str = Field(description="a sentence for the user, and a hint where the check failed")
    value: float
    bounds: tuple[float | None, float | None] = Field(description="lowest and highest good value; None is open")


# Mean syllables (Japanese: morae) a second of read speech without pauses, by language: Pellegrino, Coupé and Marsico,
# "Across-language perspective on speech information rate", Language 87 (2011), table 1; others take the mean.
_RATES = {"en": 6.19, "fr": 7.18, "de": 5.97, "it": 6.99, "ja": 7.84, "zh": 5.18, "cmn": 5.18, "es": 7.82, "vi": 5.22}
_MEAN_RATE = 6.3
# Wide bounds, as a slow narrator speaks at half of it (F5-TTS's own Chinese example at 0.46).
_RATE_WARN = (0.33, 1.4)
_RATE_ERROR = (0.2, 1.8)
# Syllables of the text by syllables heard: 0.8 to 1.25 for draft voices in 14 languages at 0.8 to 1.3 of their pace,
# 0.8 and 0.9 for F5-TTS's own examples.
_FIT_WARN = (0.6, 1.5)
_FIT_ERROR = (0.4, 2.2)


# Japanese is counted in morae, of which a syllable heard has 1.2 to 1.7.
_PARTS_OF_SYLLABLE = {"ja": 1.4}
# Confidence of the text's alignment. The right text has 0.8 to 1.0 for draft voices and noise up to 12 dB below the
# speech, 0.58 to 0.82 for the people of F5-TTS's own examples; a wrong one up to 0.54, 19 in 20 below 0.29.
CONFIDENCE_WARN, _CONFIDENCE_ERROR = 0.4, 0.3
# The same of the weakest word: 0.54 to 1.0, 0.73 and 0.63; of texts with a superfluous word, 19 in 20 have below 0.4.
WEAKEST_WARN = 0.1


# Logarithm of how much likelier what Whisper hears is than the transcript. Right transcripts of 17 recordings of people
# and the draft's examples have up to 4, one of 3.5 s 7; a word that is wrong, missing or added gives 8 to 10.
_GAIN_WARN, _GAIN_ERROR = 7.5, 20.0
_MAX_ERROR_RATE = 0.35
# Halves of one person's recordings have 0.78 to 0.95, of two people 0.39 to 0.72.
_ONE_SPEAKER = 0.74


def check_heard(hearing: ReferenceHearing | None) -> list[CheckOutcome]:
    """Check what a listener hears in a reference; both pass where nobody listened.

    Bounds:
        transcript heard: what is heard is at most e^7.5 times as likely as the transcript (error from e^20, where a
            third of its words are heard otherwise): a word is missing, added or changed.
        one speaker: the halves of the recording are alike by 0.74 at least.
    """
    words = hearing.words if hearing else None
    halves = hearing.halves if hearing else None
    gain, rate = (words.gain, words.differences.error_rate) if words else (0.0, 0.0)
    heard = " ".join(words.differences.sentences()) if words and gain > _GAIN_WARN else "The text is what is heard."
    return [
        _outcome(
            "transcript_heard",
            gain,
            (None, _GAIN_WARN),
            heard if words else "Not listened to.",
            "Check the transcript: it must say exactly what is heard, each word.",
            error=gain > _GAIN_ERROR and rate > _MAX_ERROR_RATE,
        ),
        _outcome(
            "one_speaker",
            1.0 if halves is None else halves,
            (_ONE_SPEAKER, None),
            "Not compared." if halves is None else f"The halves of the recording are alike by {halves:.2f}.",
            "Two people seem to speak: give a recording of one.",
            error=False,
        ),
    ]


def check_reference(measures: ReferenceMeasures, text: str, language: str) -> list[CheckOutcome]:
    """Check whether a reference is fit to clone from.

    The bounds were tried on 189 sentences of draft voices (6 variants, 15 languages, 0.8 to 1.3 of their pace), each
    clean and with noise, hum, reverberation, clipping and at other levels: good ones raise no alarm, except that
    reverberation of 0.8 s hides syllables, which fails the transcript length in 1 of 30.

    Bounds:
        duration: 3 to 12 s. F5 cuts references at 12 s; below 3 s it knows too little of the voice.
        clipping: at most 0.1 % of the samples (error from 1 %): distortion is cloned with the voice.
        level: -35 to -12 dBFS RMS. Below, raising it raises the noise; speech above has been limited hard.
        noise floor: at most -45 dBFS and 25 dB below the speech (error within 12 dB): F5 repeats what hums. Noise 25
            dB below the speech passed in all cases, 20 dB below it in none.
        silence share: at most 40 % (error above 70 %): pauses are learned as pace.
        speaking rate: 0.33 to 1.4 of the language's mean (error outside 0.2 to 1.8): no one speaks at another pace.
        transcript words: no word below 0.1 confidence: it is not spoken there, or replaces other words.
        transcript fit: aligned with 0.4 confidence at least (error below 0.3); not checked where it was not aligned.
        transcript length: 0.6 to 1.5 syllables in the text for each one heard (error outside 0.4 to 2.2): the text says
            more or less than the recording, whatever the speaker's pace.

    The last four catch a wrong transcript: fit one of the same length too, the others one in a language that cannot be
    aligned.
    """
    rate = _expected_rate(language)
    floor_bound = min(-45.0, measures.rms_dbfs - 25.0)
    pace = f"{measures.words} words in {measures.speech_seconds:.1f} s, {measures.syllables_per_second:.1f} syllables/s"
    confidence, weakest = measures.confidence or 0.0, measures.weakest or 0.0
    parts = _PARTS_OF_SYLLABLE.get(base(language), 1.0)
    fit = measures.syllables / parts / max(measures.syllables_heard, 1)
    more, less = (f"Check the transcript: it seems to say {word} than the recording." for word in ("more", "less"))
    return [
        _outcome(
            "duration",
            measures.seconds,
            (3.0, 12.0),
            f"The reference lasts {measures.seconds:.1f} s.",
            "Give 6 to 10 s of speech.",
            error=measures.seconds > 12.0 or measures.seconds < 1.5,
        ),
        _outcome(
            "clipping",
            measures.clipping_share,
            (None, 0.001),
            f"{100 * measures.clipping_share:.2f} % of the samples are clipped.",
            "Record with less gain.",
            error=measures.clipping_share > 0.01,
        ),
        _outcome(
            "level",
            measures.rms_dbfs,
            (-35.0, -12.0),
            f"The speech has {measures.rms_dbfs:.1f} dBFS.",
            "Record closer to the microphone." if measures.rms_dbfs < -35.0 else "Record with less gain or limiting.",
            error=measures.rms_dbfs < -50.0,
        ),
        _outcome(
            "noise_floor",
            measures.noise_floor_dbfs,
            (None, floor_bound),
            f"The background has {measures.noise_floor_dbfs:.1f} dBFS, "
            f"{measures.rms_dbfs - measures.noise_floor_dbfs:.0f} dB below the speech.",
            "Record in a quieter room, without music.",
            error=measures.rms_dbfs - measures.noise_floor_dbfs < 12.0,
        ),
        _outcome(
            "silence_share",
            measures.silence_share,
            (None, 0.4),
            f"{100 * measures.silence_share:.0f} % of the speech are pauses.",
            "Shorten the pauses in the recording.",
            error=measures.silence_share > 0.7,
        ),
        _outcome(
            "speaking_rate",
            measures.syllables_per_second,
            (_RATE_WARN[0] * rate, _RATE_WARN[1] * rate),
            f"{pace}; {rate:.1f} are usual in {language}.",
            more if measures.syllables_per_second > rate else less,
            error=not _RATE_ERROR[0] * rate <= measures.syllables_per_second <= _RATE_ERROR[1] * rate,
        ),
        _outcome(
            "transcript_fit",
            confidence,
            (None if measures.confidence is None else CONFIDENCE_WARN, None),
            "Not checked: the language cannot be aligned."
            if measures.confidence is None
            else f"The text is what is heard with a confidence of {confidence:.2f}.",
            "Check the transcript: it seems to say something else than the recording.",
            error=confidence < _CONFIDENCE_ERROR,
        ),
        _outcome(
            "transcript_words",
            weakest,
            (None if measures.weakest is None else WEAKEST_WARN, None),
            "Not checked: the language cannot be aligned."
            if measures.weakest is None
            else f"Each word of the text is heard with a confidence of {weakest:.2f} or more.",
            "Check the transcript: it seems to have words too many or too few.",
            error=False,
        ),
        _outcome(
            "transcript_length",
            fit,
            _FIT_WARN,
            f"The text has about {measures.syllables:.0f} syllables, {measures.syllables_heard} are heard.",
            more if fit > 1 else less,
            error=not _FIT_ERROR[0] <= fit <= _FIT_ERROR[1],
        ),
    ]


def _expected_rate(language: str) -> float:
    return _RATES.get(base(language), _MEAN_RATE)


def _outcome(
    name: str, value: float, bounds: tuple[float | None, float | None], sentence: str, hint: str, *, error: bool
) -> CheckOutcome:
    low, high = bounds
    passed = (low is None or value >= low) and (high is None or value <= high)
    details: dict[str, Any] = {"name": name, "value": value, "bounds": bounds, "passed": passed}
    severity = "error" if error and not passed else "warn"
    return CheckOutcome(severity=severity, description=sentence if passed else f"{sentence} {hint}", **details)
