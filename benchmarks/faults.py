"""Speech whose truth is known, and what can be wrong with it: what the quality gate is measured on.

Good takes are draft voices made less regular: pace and pitch drift, pauses stretch and shrink, each voice has a room, a
tone and a noise floor of its own. Faulty takes are good ones broken in one way. The same seed gives the same samples.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt

from f5_pipeline.speech.audio.ffmpeg import need_ffmpeg
from f5_pipeline.speech.engine import SAMPLE_RATE, Failed, Request, Token
from f5_pipeline.speech.engines.draft.engine import DraftEngine

TEXTS: dict[str, tuple[str, ...]] = {
    "en": (
        "Yes.",
        "Not now.",
        "Come in, please.",
        "The kettle is warm and the street is still quiet.",
        "By noon, every page has found its voice.",
        "He opened the letter, read it twice, and put it back.",
        "Nobody had told the children that the bridge was closed.",
        "In the end, forty people came, and most of them stayed until midnight.",
        "She counted the coins on the table; there were fewer than before.",
        "When the rain stopped, we walked down to the harbour and watched the boats come in.",
        "The old clock in the hall struck nine, although it was only a quarter past eight.",
        "If you turn left behind the church, you will find a small shop that sells maps.",
    ),
    "de": (
        "Ja.",
        "Jetzt nicht.",
        "Komm bitte herein.",
        "Der Kessel ist warm, und die Straße ist noch still.",
        "Am Mittag hat jede Seite ihre Stimme gefunden.",
        "Er öffnete den Brief, las ihn zweimal und legte ihn zurück.",
        "Niemand hatte den Kindern gesagt, dass die Brücke gesperrt war.",
        "Am Ende kamen vierzig Leute, und die meisten blieben bis Mitternacht.",
        "Sie zählte die Münzen auf dem Tisch; es waren weniger als vorher.",
        "Als der Regen aufhörte, gingen wir zum Hafen hinunter und sahen den Booten zu.",
        "Die alte Uhr im Flur schlug neun, obwohl es erst Viertel nach acht war.",
        "Wenn du hinter der Kirche links abbiegst, findest du einen kleinen Laden mit Landkarten.",
    ),
    "es": (
        "Sí.",
        "Ahora no.",
        "Pasa, por favor.",
        "El agua está caliente y la calle sigue en silencio.",
        "Al mediodía, cada página ha encontrado su voz.",
        "Abrió la carta, la leyó dos veces y la guardó de nuevo.",
        "Nadie les había dicho a los niños que el puente estaba cerrado.",
        "Al final vinieron cuarenta personas, y casi todas se quedaron hasta medianoche.",
        "Contó las monedas sobre la mesa; había menos que antes.",
        "Cuando dejó de llover, bajamos al puerto y miramos cómo llegaban los barcos.",
        "El viejo reloj del pasillo dio las nueve, aunque solo eran las ocho y cuarto.",
        "Si giras a la izquierda detrás de la iglesia, verás una tienda pequeña que vende mapas.",
    ),
    "ru": (
        "Да.",
        "Не сейчас.",
        "Войдите, пожалуйста.",
        "Чайник ещё тёплый, а на улице тихо.",
        "К полудню каждая страница нашла свой голос.",
        "Он открыл письмо, прочитал его дважды и положил обратно.",
        "Никто не сказал детям, что мост закрыт.",
        "В конце концов пришло сорок человек, и почти все остались до полуночи.",
        "Она пересчитала монеты на столе; их стало меньше, чем раньше.",
        "Когда дождь кончился, мы спустились в гавань и смотрели, как приходят лодки.",
        "Старые часы в прихожей пробили девять, хотя было только четверть девятого.",
        "Если повернуть налево за церковью, можно найти маленькую лавку, где продают карты.",
    ),
    "zh": (
        "好。",
        "现在不行。",
        "请进来吧。",
        "水壶还是热的，街上还很安静。",
        "到了中午，每一页都找到了自己的声音。",
        "他打开信，读了两遍，又放了回去。",
        "没有人告诉孩子们那座桥已经关闭了。",
        "最后来了四十个人，大多数人一直待到半夜。",
        "她数了数桌上的硬币，比以前少了。",
        "雨停以后，我们走到港口，看着船只慢慢进来。",
        "走廊里的旧钟敲了九下，虽然才八点一刻。",
        "如果你在教堂后面向左转，就会看到一家卖地图的小店。",
    ),
}
"""Lines by language: one and two words first, then sentences up to about 6 s; the same place says the same thing."""

REFERENCE_TEXTS = {
    "en": "Some stories begin with a road, and this one ends there.",
    "de": "Manche Geschichten beginnen mit einem Weg, und diese endet dort.",
    "es": "Algunas historias empiezan con un camino, y esta termina en él.",
    "ru": "Некоторые истории начинаются с дороги, а эта там кончается.",
    "zh": "有些故事从一条路开始，而这个故事在那里结束。",
}


@dataclass(frozen=True)
class Spoken:
    """Speech and its exact times. `samples`: float32, shape (n,), SAMPLE_RATE Hz; `tokens` in s from its start."""

    text: str
    language: str
    samples: np.ndarray
    tokens: tuple[Token, ...]


@dataclass(frozen=True)
class Room:
    """What is the same in all takes of a voice.

    Attributes:
        tone: gain, dB, of a shelf above 2 kHz. reverb: s until -60 dB. noise: dBFS. level: RMS of the speech, dBFS.
    """

    tone: float
    reverb: float
    noise: float
    level: float

    @classmethod
    def of(cls, voice: str) -> Room:
        chance = random.Random(f"room:{voice}")
        return cls(chance.uniform(-6, 4), chance.choice((0, 0, 0.15, 0.3)), chance.uniform(-80, -58), -20)


def speak(engine: DraftEngine, lines: list[tuple[str, str, str, float]]) -> list[Spoken]:
    """Speak (text, language, voice, speed) lines with the draft engine.

    Raises:
        RuntimeError: a line cannot be spoken.
    """
    requests = [
        Request(key=str(index), text=text, language=language, voice=voice, speed=speed)
        for index, (text, language, voice, speed) in enumerate(lines)
    ]
    made = {}
    for result in engine.speak(requests):
        if isinstance(result, Failed):
            raise RuntimeError(f"{lines[int(result.key)]}: {result.reason}")
        made[result.key] = result
    return [
        Spoken(request.text, request.language, made[request.key].samples, tuple(made[request.key].tokens or ()))
        for request in requests
    ]


# --- good takes -------------------------------------------------------------------------------------------------------


def natural(spoken: Spoken, room: Room, seed: str) -> Spoken:
    """A good take: pace and pitch wander by about 8 %, pauses last 0.5 to 1.8 times as long, the level by 1 dB."""
    chance = np.random.default_rng(list(seed.encode()))
    return _in_room(_wander(_vary_pauses(spoken, chance), chance), room, chance)


def _vary_pauses(spoken: Spoken, chance: np.random.Generator) -> Spoken:
    parts, tokens, at, shift = [], [], 0.0, 0.0
    for token in spoken.tokens:
        gap = token.start - at
        if gap > 0.06 and tokens:
            wanted = gap * chance.uniform(0.5, 1.8)
            keep = min(gap, wanted) / 2
            parts += [
                spoken.samples[_at(at) : _at(at + keep)],
                np.zeros(_at(max(wanted - gap, 0)), np.float32),
                spoken.samples[_at(token.start - keep) : _at(token.start)],
            ]
            shift += wanted - gap
        else:
            parts.append(spoken.samples[_at(at) : _at(token.start)])
        parts.append(spoken.samples[_at(token.start) : _at(token.end)])
        tokens.append(replace(token, start=token.start + shift, end=token.end + shift))
        at = token.end
    parts.append(spoken.samples[_at(at) :])
    return replace(spoken, samples=np.concatenate(parts), tokens=tuple(tokens))


def _wander(spoken: Spoken, chance: np.random.Generator, depth: float = 0.08) -> Spoken:
    """Play with a speed that drifts: steps of 0.4 s, smoothly joined."""
    seconds = len(spoken.samples) / SAMPLE_RATE
    knots = np.arange(0, seconds + 0.8, 0.4)
    speed = np.interp(np.arange(0, seconds, 0.01), knots, 1 + depth * chance.uniform(-1, 1, len(knots)))
    played = np.concatenate([[0.0], np.cumsum(0.01 / speed)])  # s of the result at every 10 ms of the source
    source = 0.01 * np.arange(len(played))
    places = np.interp(np.arange(0, played[-1], 1 / SAMPLE_RATE), played, source) * SAMPLE_RATE
    samples = np.interp(places, np.arange(len(spoken.samples)), spoken.samples).astype(np.float32)
    tokens = tuple(
        replace(t, start=float(np.interp(t.start, source, played)), end=float(np.interp(t.end, source, played)))
        for t in spoken.tokens
    )
    return replace(spoken, samples=samples, tokens=tokens)


def _in_room(spoken: Spoken, room: Room, chance: np.random.Generator) -> Spoken:
    samples = spoken.samples.astype(np.float64)
    high = np.asarray(sosfilt(butter(1, 2000, "high", fs=SAMPLE_RATE, output="sos"), samples))
    samples = samples + (10 ** (room.tone / 20) - 1) * high
    if room.reverb:
        time = np.arange(int(room.reverb * SAMPLE_RATE)) / SAMPLE_RATE
        echo = np.random.default_rng(7).standard_normal(len(time)) * 10 ** (-3 * time / room.reverb)
        echo *= 0.5 / np.sqrt((echo**2).sum())
        echo[0] = 1.0
        samples = fftconvolve(samples, echo)[: len(samples)]
    samples = level_to(samples, room.level + chance.normal(0, 1))
    samples += 10 ** (room.noise / 20) * chance.standard_normal(len(samples))
    return replace(spoken, samples=np.clip(samples, -1, 1).astype(np.float32))


def level_to(samples: np.ndarray, dbfs: float) -> np.ndarray:
    """The samples with the RMS of their louder half, in 10 ms frames, at a level."""
    frames = samples[: len(samples) // 240 * 240].reshape(-1, 240)
    power = np.sort((frames.astype(np.float64) ** 2).mean(1))[len(frames) // 2 :].mean()
    return samples * (10 ** (dbfs / 20) / np.sqrt(power))


def _at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


# --- faults -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Context:
    """What faults take from elsewhere, all in the take's own voice and room.

    Attributes:
        other: another text of the language. foreign: this text in another language. reference: the reference's text,
            spoken anew: a model that leaks does not copy. fast, slow: this text at 1.6 and 1/1.6 times the pace.
    """

    other: Spoken
    foreign: Spoken
    reference: Spoken
    fast: Spoken
    slow: Spoken


Fault = Callable[[Spoken, Context, np.random.Generator], np.ndarray]


def _join(*parts: np.ndarray) -> np.ndarray:
    """The parts in order with 5 ms fades, so that no click tells the cut."""
    length = _at(0.005)
    faded = []
    for part in parts:
        part = part.astype(np.float32).copy()
        n = min(length, len(part) // 2)
        if n:
            ramp = np.linspace(0, 1, n, dtype=np.float32)
            part[:n] *= ramp
            part[len(part) - n :] *= ramp[::-1]
        faded.append(part)
    return np.concatenate(faded)


def _words(take: Spoken, first: int, last: int) -> tuple[int, int]:
    """Samples from the start of a word to the start of the word after the last."""
    end = take.tokens[last].start if last < len(take.tokens) else take.tokens[-1].end
    return _at(take.tokens[first].start), _at(end)


def _speech(take: Spoken) -> np.ndarray:
    return take.samples[_at(take.tokens[0].start) : _at(take.tokens[-1].end)]


def _framed(take: Spoken, *parts: np.ndarray) -> np.ndarray:
    """The parts in place of the speech, between the take's own silences."""
    return _join(take.samples[: _at(take.tokens[0].start)], *parts, take.samples[_at(take.tokens[-1].end) :])


def cut_end(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    spoken = _speech(take)
    return _framed(take, spoken[: int(0.7 * len(spoken))])


def last_word_cut(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    last, first = take.tokens[-1], take.tokens[0]
    return _framed(take, take.samples[_at(first.start) : _at((last.start + last.end) / 2)])


def lost_words(count: int) -> Fault:
    def fault(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
        first = int(chance.integers(1, len(take.tokens) - count))
        start, end = _words(take, first, first + count)
        return _join(take.samples[:start], take.samples[end:])

    return fault


def repeated_words(count: int) -> Fault:
    def fault(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
        first = int(chance.integers(0, len(take.tokens) - count))
        start, end = _words(take, first, first + count)
        return _join(take.samples[:end], take.samples[start:end], take.samples[end:])

    return fault


def wrong_word(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    """A word of another text in place of one: the one of much the same length that is spelled otherwise."""
    place = int(chance.integers(1, len(take.tokens)))
    start, end = _words(take, place, place + 1)
    word = _word(take, place)
    others = [n for n in range(len(context.other.tokens)) if _word(context.other, n) != word]
    spans = [_words(context.other, n, n + 1) for n in others]
    first, last = min(spans, key=lambda span: abs(span[1] - span[0] - (end - start)))
    return _join(take.samples[:start], context.other.samples[first:last], take.samples[end:])


def _word(take: Spoken, place: int) -> str:
    token = take.tokens[place]
    return take.text[token.start_char : token.end_char].strip(" .,;:!?").lower()


def shuffled_words(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    order = np.arange(len(take.tokens))
    while (order == np.arange(len(order))).any():
        chance.shuffle(order)
    return _framed(take, *(take.samples[slice(*_words(take, n, n + 1))] for n in order.tolist()))


def swapped_halves(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    count = len(take.tokens)
    first, second = _words(take, 0, count // 2), _words(take, count // 2, count)
    return _framed(take, take.samples[slice(*second)], take.samples[slice(*first)])


def garbled(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    """Grains of 100 to 200 ms in a random order."""
    spoken, grains, at = _speech(take), [], 0
    while at < len(spoken):
        length = _at(chance.uniform(0.1, 0.2))
        grains.append(spoken[at : at + length])
        at += length
    return _framed(take, *(grains[n] for n in chance.permutation(len(grains))))


def noise(snr: float) -> Fault:
    def fault(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
        power = float((_speech(take).astype(np.float64) ** 2).mean()) / 10 ** (snr / 10)
        mixed = take.samples + np.sqrt(power) * chance.standard_normal(len(take.samples))
        return np.clip(mixed, -1, 1).astype(np.float32)

    return fault


def only_noise(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    """Noise with the take's own level contour: speech-like to a level meter alone."""
    length = _at(0.02)
    whole = take.samples[: len(take.samples) // length * length].reshape(-1, length)
    contour = np.sqrt((whole**2).mean(1))
    contour = np.interp(np.arange(whole.size), length * (np.arange(len(contour)) + 0.5), contour)
    return (contour * chance.standard_normal(whole.size)).clip(-1, 1).astype(np.float32)


def silence(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    return (1e-5 * chance.standard_normal(len(take.samples))).astype(np.float32)


def hole(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    place = _words(take, len(take.tokens) // 2, len(take.tokens))[0]
    return _join(take.samples[:place], np.zeros(_at(2.0), np.float32), take.samples[place:])


def wrong_text(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    return context.other.samples


def other_language(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    return context.foreign.samples


def reference_leaks(seconds: float) -> Fault:
    def fault(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
        tail = _speech(context.reference)[-_at(seconds) :]
        return _framed(take, tail, np.zeros(_at(0.06), np.float32), _speech(take))

    return fault


def clipped(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    return np.clip(take.samples * 10 ** (18 / 20), -1, 1)


def too_fast(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    return context.fast.samples


def too_slow(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    return context.slow.samples


def drawl(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    """One word, the longest or one nearly as long, held 2.5 times as long at its pitch."""
    spans = [_words(take, place, place + 1) for place in range(len(take.tokens))]
    longest = sorted(spans, key=lambda span: span[0] - span[1])[: max(1, len(spans) // 4)]
    start, end = longest[int(chance.integers(len(longest)))]
    raw = ("-f", "f32le", "-ar", str(SAMPLE_RATE), "-ac", "1")
    slower = (*raw, "-i", "-", "-af", "atempo=0.5,atempo=0.8", *raw, "-")
    word = take.samples[start:end].astype(np.float32).tobytes()
    held = subprocess.run([need_ffmpeg("a drawl"), "-v", "error", *slower], input=word, capture_output=True, check=True)
    return _join(take.samples[:start], np.frombuffer(held.stdout, np.float32), take.samples[end:])


def half_level(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    return take.samples * 0.5


def fades(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    """12 dB softer from the middle on."""
    count = len(take.samples)
    return take.samples * np.interp(np.arange(count), [0.45 * count, 0.55 * count], [1, 0.25]).astype(np.float32)


def buzz(take: Spoken, context: Context, chance: np.random.Generator) -> np.ndarray:
    """A steady tone of 130 Hz with its harmonics, as long and loud as the take."""
    time = np.arange(len(take.samples)) / SAMPLE_RATE
    number = np.arange(1, 40)[:, None]
    tone = (np.sin(2 * np.pi * 130 * number * time + number) / number).sum(0)
    return level_to(tone, -20).astype(np.float32)


FAULTS: dict[str, tuple[str, int, Fault]] = {
    "silence": ("silence", 1, silence),
    "hole": ("silent hole of 2 s", 2, hole),
    "only_noise": ("noise with the contour of speech", 1, only_noise),
    "buzz": ("static buzz", 1, buzz),
    "noise_0": ("noise, 0 dB", 1, noise(0)),
    "noise_10": ("noise, 10 dB", 1, noise(10)),
    "clipped": ("clipped, 18 dB", 1, clipped),
    "wrong_text": ("another text", 1, wrong_text),
    "other_language": ("the text in another language", 1, other_language),
    "garbled": ("grains of 0.15 s shuffled", 3, garbled),
    "shuffled_words": ("words shuffled", 3, shuffled_words),
    "swapped_halves": ("halves swapped", 4, swapped_halves),
    "cut_end": ("last 30 % cut", 2, cut_end),
    "last_word_cut": ("last word cut in its middle", 4, last_word_cut),
    "lost_3": ("3 words left out", 6, lost_words(3)),
    "lost_2": ("2 words left out", 5, lost_words(2)),
    "lost_1": ("1 word left out", 4, lost_words(1)),
    "repeated_3": ("3 words twice", 5, repeated_words(3)),
    "repeated_1": ("1 word twice", 4, repeated_words(1)),
    "wrong_word": ("1 word in place of another", 4, wrong_word),
    "leak_0.8": ("reference leaks in, 0.8 s", 1, reference_leaks(0.8)),
    "leak_0.4": ("reference leaks in, 0.4 s", 1, reference_leaks(0.4)),
    "too_fast": ("1.6 times too fast", 1, too_fast),
    "too_slow": ("1.6 times too slow", 1, too_slow),
    "drawl": ("1 word held 2.5 times as long", 3, drawl),
    "half_level": ("half the level", 1, half_level),
    "fades": ("12 dB softer from the middle on", 2, fades),
}
"""What it is, how many words it needs, how it is made; by name."""


# --- the corpus -------------------------------------------------------------------------------------------------------


class Corpus:
    """Good and faulty takes of several voices in each language.

    Voices are named "<language>-<number>"; each has a reference and `lines` takes: the texts, then pairs of them.
    """

    def __init__(self, engine: DraftEngine, languages: list[str], voices: int, lines: int) -> None:
        self.voices = [f"{language}-{number}" for language in languages for number in range(voices)]
        self.lines = lines
        self._languages = languages
        asked = []
        for voice in self.voices:
            language, number = self._of(voice)
            paces = (1.0, 1.6, 1 / 1.6)
            asked += [(REFERENCE_TEXTS[language], language, voice, 1.0)]
            asked += [(text, language, voice, pace) for text in self._texts(language, number) for pace in paces]
            foreign = self._foreign(voice)
            asked += [(text, foreign, voice, 1.0) for text in self._texts(foreign, number)]
        self._kept: dict[str, Spoken] = {}
        self._spoken = dict(zip(asked, speak(engine, asked), strict=True))

    def _of(self, voice: str) -> tuple[str, int]:
        language, _, number = voice.partition("-")
        return language, int(number)

    def _foreign(self, voice: str) -> str:
        language, number = self._of(voice)
        others = [other for other in TEXTS if other != language]
        return others[number % len(others)]

    def _texts(self, language: str, number: int) -> list[str]:
        texts = list(TEXTS[language])
        blank = "" if language == "zh" else " "
        pairs = [f"{texts[5 + n % 6]}{blank}{texts[3 + (n % 6 + number + 3) % 8]}" for n in range(self.lines)]
        return (texts + pairs)[: self.lines]

    def reference(self, voice: str, rendering: int = 0) -> Spoken:
        """The voice's reference; other renderings are the same words said anew."""
        language, _ = self._of(voice)
        spoken = self._spoken[REFERENCE_TEXTS[language], language, voice, 1.0]
        return self._natural(spoken, voice, f"reference:{rendering}")

    def _natural(self, spoken: Spoken, voice: str, which: str) -> Spoken:
        key = f"{voice}:{spoken.language}:{which}"
        if key not in self._kept:
            self._kept[key] = natural(spoken, Room.of(voice), key)
        return self._kept[key]

    def good(self, voice: str, line: int, pace: float = 1.0, language: str | None = None) -> Spoken:
        own, number = self._of(voice)
        text = self._texts(language or own, number)[line]
        return self._natural(self._spoken[text, language or own, voice, pace], voice, f"{line}:{pace}")

    def faulty(self, voice: str, line: int, fault: str) -> np.ndarray | None:
        """The samples of a take with this fault; None where the line has too few words for it."""
        take = self.good(voice, line)
        _, least, broken = FAULTS[fault]
        if len(take.tokens) < least:
            return None
        context = Context(
            other=self.good(voice, line + 1 if line + 1 < self.lines else line - 1),
            foreign=self.good(voice, line, language=self._foreign(voice)),
            reference=self.reference(voice, 1),
            fast=self.good(voice, line, 1.6),
            slow=self.good(voice, line, 1 / 1.6),
        )
        chance = np.random.default_rng(list(f"{voice}:{line}:{fault}".encode()))
        return np.asarray(broken(take, context, chance), np.float32)
