"""A voice tunes itself: other parts of its recording and other paces speak the same sentences as the present ones, and
what is measured to be better beyond chance is kept.

Staged: parts first, at the present pace; then paces, of the part that won. Takes are kept under their keys, so that a
run that was cut off goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, Field

from f5_pipeline.errors import InputError
from f5_pipeline.speech import engines
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.chunks import Chunk
from f5_pipeline.speech.script.model import Preset, ScriptOptions, parse_script
from f5_pipeline.speech.takes import Take, read_take_audio
from f5_pipeline.speech.text.languages import base
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import write_record
from f5_pipeline.studio.links.rights import check_consent, clones_voices
from f5_pipeline.studio.narrating.comparison import (
    ERRORS,
    FAULT,
    SIMILARITY,
    Compared,
    Figure,
    Scores,
    chance,
    figures,
    scores_of,
    speak,
)
from f5_pipeline.studio.narrating.engines import choose_engine
from f5_pipeline.studio.narrating.scripts import LoadedScript
from f5_pipeline.studio.narrating.synthesis import Progress
from f5_pipeline.studio.narrating.tuning_sentences import SENTENCES
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.recognition import open_listener
from f5_pipeline.studio.records import Plan, ReferenceSetting, Source, Tuning, Voice
from f5_pipeline.studio.state import find_state
from f5_pipeline.studio.voices import clip_of, find_voice, flac_of, opened_recording, prepare, unknown_voice
from f5_pipeline.system.clock import iso_time

if TYPE_CHECKING:
    import numpy as np

    from f5_pipeline.speech.references.prepare import Reference

WINDOWS = 4
"""Parts of the recording that are tried, the present one among them."""

SPEEDS = (0.9, 1.0, 1.1)
"""Paces that are tried, by the recording's."""

MIN_SENTENCES = 8
"""Sentences from which anything is concluded."""

MAX_ERROR = 0.05
"""Chance that a tuning which is kept is none: divided among all trials and criteria (Bonferroni)."""

CRITERIA = {FAULT: (-1, 1.0), ERRORS: (-1, 1.0), SIMILARITY: (1, 0.01)}
"""The figures that decide, the weightiest first: 1 where more is better, and the least difference that counts."""

_ALL = 1_000_000  # sentences
_LIKENESS_SECONDS = 60.0  # of the recording, that takes are compared with


class Trial(BaseModel):
    """A setting that was tried against another (`first` of the figures)."""

    setting: ReferenceSetting
    against: ReferenceSetting
    figures: list[Figure]
    left_out: int = Field(description="sentences that it could not speak, and the other could")
    better: str | None = Field(description="the figure in which it is better beyond chance, while none is worse")


class Tuned(BaseModel):
    """The result: what was tried, and the setting that is better than the present one; None: the present one stays."""

    voice: str
    by: str = Field(description="engine, model and preset")
    sentences: int
    heard: bool = Field(description="whether a listener heard the takes; else measures alone decide")
    present: ReferenceSetting
    trials: list[Trial]
    chosen: ReferenceSetting | None = None
    why: str = ""

    def verdict(self) -> str:
        """One sentence for people."""
        if self.chosen is None:
            return f"The present setting of {self.voice} stays: nothing tried is better beyond chance."
        return f"Better than {self.present}: {self.chosen}: {self.why}."


class _Candidate(NamedTuple):
    setting: ReferenceSetting
    reference: Reference


class _Tried(NamedTuple):
    """A candidate, and how its takes were heard, by sentence."""

    candidate: _Candidate
    heard: dict[int, tuple[Chunk, Scores]]


class _View:
    """The store as it is once a voice has another reference."""

    def __init__(self, store: Store, voice: Voice, candidate: _Candidate) -> None:
        is_usual = candidate.setting == ReferenceSetting()
        tunings = [] if is_usual else [Tuning(**dict(candidate.setting), made="", by="", why="")]
        voice = voice.model_copy(update={"tunings": tunings})
        clip = clip_of(voice, candidate.reference)
        self._store = store
        self._objects = {
            layout.voice(voice.name): voice.model_dump_json().encode(),
            layout.reference(voice.name): clip.model_dump_json().encode(),
            clip.audio: flac_of(candidate.reference),
        }

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get_bytes(self, key: str) -> bytes:
        return self._objects[key] if key in self._objects else self._store.get_bytes(key)


def tune(
    store: Store,
    name: str,
    options: StudioOptions,
    *,
    windows: int = WINDOWS,
    speeds: Sequence[float] = SPEEDS,
    sentences: Sequence[str] = (),
    model: str | None = None,
    preset: Preset | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Voice, Tuned]:
    """Try other settings of a voice. Nothing but takes is kept; see `keep_tuning`. Returns the voice as it was tried.

    Args:
        windows: parts of the recording at most; speeds: paces beside the present one.
        sentences: to be spoken; empty: `SENTENCES` of its language.
        on_progress: takes made, takes in all.

    Raises:
        InputError: there is no such voice, it may not be cloned, or the engine does not clone; there are too few
            sentences, or they cannot be measured in this language.
        EngineError: the engine or the model does not work here.
    """
    voice = find_voice(store, name)
    if voice is None:
        raise unknown_voice(store, name)
    loaded = _script(voice, sentences, model, preset)
    choice = choose_engine(loaded, options)
    if engines.spec_of(choice.engine).times_itself or not clones_voices(choice.engine):
        hint = "Set F5_ENGINE=f5, on a machine with a GPU."
        raise InputError(f"the engine {choice.engine} speaks in no cloned voice: there is nothing to tune", hint=hint)
    agreed = voice.consent and voice.consent.model_copy(update={"narrations": []})
    allowed = voice.model_copy(update={"consent": agreed})
    check_consent([allowed], "", voice.language, layout.voice(name), required=options.require_consent)
    with open_listener(store, options) as listener:
        heard = listener is not None and listener.hears(voice.language)
    options = options.model_copy(update={"retakes": 0, "listen": "all" if heard else "off"})
    with opened_recording(store, voice) as (recording, transcript):
        present, others = _windows(voice, recording, transcript, windows - 1)
        likeness = _likeness(recording) if heard else None
    paces = [speed for speed in speeds if speed != present.setting.speed]
    count, tests = 1 + len(others) + len(paces), (len(others) + len(paces)) * len(CRITERIA)
    done = 0

    def tried(candidate: _Candidate) -> _Tried:
        nonlocal done

        def report(progress: Progress) -> None:
            on_progress(done * progress.total + progress.done, count * progress.total)

        view: Any = _View(store, voice, candidate)  # answers as a store does
        _, spoken = speak(view, loaded, options, None, _ALL, on_progress=report, cancelled=cancelled)
        done += 1
        heard = {
            index: (planned.chunk, _scores(store, take, likeness))
            for index, (planned, take) in spoken.items()
            if take.measures is not None
        }
        return _Tried(candidate, heard)

    first = tried(present)
    if len(first.heard) < MIN_SENTENCES:
        raise InputError(
            f"only {len(first.heard)} of the sentences could be spoken and measured",
            file=layout.voice(name),
            hint=f"Take another model, or --sentences with {MIN_SENTENCES} at least that it can speak.",
        )
    trials: list[Trial] = []
    best = first
    for stage in ("parts", "paces"):
        won, candidates = best.candidate, others
        if stage == "paces":
            settings = [ReferenceSetting(window=won.setting.window, speed=speed) for speed in paces]
            candidates = [_Candidate(setting, won.reference) for setting in settings]
        pairs = [(_trial(best, another, tests), another) for another in map(tried, candidates)]
        trials += [trial for trial, _ in pairs]
        if better := [pair for pair in pairs if pair[0].better]:
            best = min(better, key=lambda pair: _rank(pair[0]))[1]
    chosen = None if best is first else best.candidate.setting
    result = Tuned(
        voice=name,
        by=", ".join(filter(None, (choice.engine, choice.model, choice.preset))),
        sentences=len(first.heard),
        heard=heard,
        present=present.setting,
        trials=trials,
        chosen=chosen,
        why=_why(_trial(first, best, tests).figures) if chosen else "",
    )
    return voice, result


def keep_tuning(store: Store, voice: Voice, tuned: Tuned) -> Voice:
    """Give a voice the setting that was chosen for it.

    Args:
        voice: as it was tried.

    Raises:
        InputError: the voice has changed since.
    """
    assert tuned.chosen is not None
    if find_voice(store, voice.name) != voice:
        hint = f"Tune it again: f5-pipeline voices tune {voice.name}."
        raise InputError("the voice has changed while it was tuned", file=layout.voice(voice.name), hint=hint)
    tuning = Tuning(**dict(tuned.chosen), made=iso_time(), by=tuned.by, why=tuned.why)
    return _kept(store, voice, [*voice.tunings, tuning])


def undo_tuning(store: Store, name: str) -> tuple[Voice, Tuning]:
    """Take back the last tuning of a voice; return the voice and what was taken back.

    Raises:
        InputError: there is no such voice, or it is not tuned.
    """
    voice = find_voice(store, name)
    if voice is None:
        raise unknown_voice(store, name)
    if not voice.tunings:
        raise InputError(f"the voice {name!r} is not tuned", file=layout.voice(name), hint="It is as it was added.")
    return _kept(store, voice, voice.tunings[:-1]), voice.tunings[-1]


def _kept(store: Store, voice: Voice, tunings: list[Tuning]) -> Voice:
    voice = voice.model_copy(update={"tunings": tunings})
    write_record(store, layout.voice(voice.name), voice)
    return voice


def narrations_with(store: Store, name: str) -> list[str]:
    """The narrations whose present plan clones a voice."""
    plans = in_parallel(store, lambda one: find_state(store, Plan, one), store.folders("narrations/"))
    return sorted(plan.narration for plan in plans if plan and name in plan.voices and clones_voices(plan.engine))


def _script(voice: Voice, sentences: Sequence[str], model: str | None, preset: Preset | None) -> LoadedScript:
    """The sentences as a script, a paragraph each."""
    sentences = sentences or SENTENCES.get(voice.language.lower(), SENTENCES.get(base(voice.language), ()))
    if not sentences:
        raise InputError(
            f"there are no sentences in {voice.language}; there are some in {', '.join(SENTENCES)}",
            file=layout.voice(voice.name),
            hint="Give a file with one a line: --sentences FILE.",
        )
    if len(sentences) < MIN_SENTENCES:
        hint = "Write some more, one a line."
        raise InputError(f"{len(sentences)} sentences are too few: {MIN_SENTENCES} are needed", hint=hint)
    data = "\n\n".join(sentences).encode()
    options = ScriptOptions(voice=voice.name, language=voice.language, model=model, preset=preset)
    script = parse_script(data, "sentences.txt", options, known_voices={voice.name})
    source = Source(key="", sha256="", name="sentences.txt", size=len(data))
    return LoadedScript(f"tuning-{voice.name}", source, options, script, "sentences.txt", data)


def _windows(
    voice: Voice, recording: Path, transcript: bytes | None, count: int
) -> tuple[_Candidate, list[_Candidate]]:
    """The present part of a voice's recording, and `count` others at most, all at its present pace."""
    from f5_pipeline.speech.alignment.renderings import Drafts
    from f5_pipeline.speech.references.prepare import other_references
    from f5_pipeline.speech.transcripts.reader import read_transcript

    name = voice.transcript.name if voice.transcript else ""

    def prepared(setting: ReferenceSetting | None) -> Reference:
        return prepare(recording, transcript, voice.language, name=voice.name, transcript_name=name, setting=setting)

    setting = voice.setting or ReferenceSetting()
    present, others = prepared(setting), []
    if setting.window is not None and (usual := prepared(None)).sha256 != present.sha256:
        others.append(_Candidate(ReferenceSetting(speed=setting.speed), usual))
    if count > len(others):
        text = read_transcript(transcript, name) if transcript is not None else None
        with closing(Drafts()) as drafts:
            found = other_references(
                recording,
                text,
                [present, *(other.reference for other in others)],
                count=count - len(others),
                language=voice.language,
                name=voice.name,
                drafts=drafts,
            )
        others += [
            _Candidate(ReferenceSetting(window=window, speed=setting.speed), reference) for window, reference in found
        ]
    return _Candidate(setting, present), others[: max(count, 0)]


def _likeness(recording: Path) -> Callable[[np.ndarray], float | None] | None:
    """Compares a take's speaker with the whole recording: with its own reference alone, a part that sounds unlike the
    rest would be the best likeness of itself. None where no speaker encoder is installed."""
    from f5_pipeline.speech.listening.listener import resampled
    from f5_pipeline.speech.listening.recogniser import RATE
    from f5_pipeline.speech.listening.speaker import SpeakerEncoder, find_weights

    if (weights := find_weights()) is None:
        return None
    encoder = SpeakerEncoder(weights)
    seconds = min(audio.probe(recording).seconds, _LIKENESS_SECONDS)
    (speaker,) = encoder.embed([audio.read_mono(recording, RATE, 0.0, seconds)])

    def likeness(samples: np.ndarray) -> float | None:
        (own,) = encoder.embed([resampled(samples)])
        return None if own is None or speaker is None else round(float(own @ speaker), 3)

    return likeness


def _scores(store: Store, take: Take, likeness: Callable[[np.ndarray], float | None] | None) -> Scores:
    scores = scores_of(take)
    if likeness is None:
        return scores
    samples = read_take_audio(store.get_bytes(layout.take_audio(take.key)))
    return scores.model_copy(update={"similarity": likeness(samples)})


def _trial(against: _Tried, tried: _Tried, tests: int) -> Trial:
    """What a candidate is against another, by the sentences that both could speak."""
    first, second = against.heard, tried.heard
    chunks = []
    for index in sorted(first.keys() & second.keys()):
        chunk, scores = first[index]
        one = Compared(chunk=index, line=chunk.line, text=chunk.written, first=scores, second=second[index][1])
        chunks.append(one)
    left_out = len(first.keys() - second.keys())
    found = {figure.name: figure for figure in figures(chunks)}

    def is_better(name: str) -> bool:
        gain = _gain(found[name], name)
        return gain >= CRITERIA[name][1] and chance(chunks, name, CRITERIA[name][0]) <= MAX_ERROR / tests

    is_worse = left_out or any(found[name].differs and _gain(found[name], name) < 0 for name in CRITERIA)
    better = None if is_worse else next(filter(is_better, CRITERIA), None)
    return Trial(
        setting=tried.candidate.setting,
        against=against.candidate.setting,
        figures=[found[name] for name in CRITERIA],
        left_out=left_out,
        better=better,
    )


def _gain(figure: Figure, name: str) -> float:
    """By how much the second is better; 0 where the figure is not known."""
    if figure.first is None or figure.second is None:
        return 0.0
    return CRITERIA[name][0] * (figure.second - figure.first)


def _rank(trial: Trial) -> tuple[float, ...]:
    """The order of trials that are better, the best first."""
    by_name: Mapping[str, Figure] = {figure.name: figure for figure in trial.figures}
    return tuple(-sign * (by_name[name].second or 0.0) for name, (sign, _) in CRITERIA.items())


def _why(shown_figures: Sequence[Figure]) -> str:
    def parts() -> Iterator[str]:
        for figure in shown_figures:
            if figure.first is not None and figure.second is not None:
                name, _, unit = figure.name.partition(", ")
                yield f"{name} {figure.first:g} → {figure.second:g}{f' {unit}' if unit else ''}"

    return ", ".join(parts())
