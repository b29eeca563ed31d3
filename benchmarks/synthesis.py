"""How fast chunks are synthesized: F5-TTS's own `infer_batch_process` against this engine, in one process.

    python -m benchmarks.synthesis [--tiny | --full] [--device cuda] [--json FILE]

The same chunks (14 s and 5 s of speech after a reference of 6 s) go through both, from text tokens and reference to
samples, with random weights, which cost what trained ones do. On a CPU the full network takes seconds for a single
evaluation: few solver steps are run there and the figures scaled to the preset's, alike for both sides. Seconds are by
the clock: the machine must be free.

Ends with 1 where the targets of the engine are missed.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.measure import in_words, machine, table, write_results

HOP, RATE = 256, 24_000
REFERENCE_FRAMES = 562
BYTES_A_SECOND = 15
COLUMNS = (
    "network",
    "chunks",
    "engine",
    "dtype",
    "attention",
    "compiled",
    "batch",
    "NFE",
    "x real time",
    "to stock",
    "of matmul",
    "peak GB",
)
ALONE = 1
"""As a budget of frames: every chunk a batch of its own."""

TARGETS = {"14 s": 2.0, "5 s": 4.0, "matmul": 0.5, "rapid": 300.0, "cpu": 1.0}
"""On one H200 (the first four) and on a CPU, where runs differ by NOISE."""
NOISE = 0.05


@dataclass(frozen=True)
class Case:
    """One row: how the chunks are synthesized.

    `evaluations`: solver steps really run; the figures are scaled to those of the preset.
    """

    chunks: str
    preset: str = "final"
    engine: str = "f5"
    dtype: str = "auto"
    attention: str = "auto"
    layout: str = "auto"
    compile: str = "auto"
    batch: int = 0
    evaluations: int = 0

    @property
    def network(self) -> tuple[str, ...]:
        return (self.engine, self.dtype, self.attention, self.layout, self.compile)


@dataclass
class Bench:
    """One architecture on one device, stock and ours over the same parameters."""

    size: str
    device: Any
    chunks: dict[str, list[str]]
    runs: int
    dit: Any = None
    vocos: Any = None
    audio: Any = None
    _made: tuple[tuple[str, ...], Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        import torch
        from f5_tts.model.modules import MelSpec
        from f5_tts.model.utils import get_tokenizer
        from vocos import Vocos

        from f5_pipeline.speech.engines.f5.architecture import F5TTS_V1_BASE
        from f5_pipeline_tests.support.tiny_f5 import TINY, make_tiny_vocoder, tiny_dit

        full = self.size == "full"
        self.architecture = F5TTS_V1_BASE if full else TINY
        self.dit = tiny_dit(self.architecture)
        with tempfile.TemporaryDirectory() as folder:
            sizes = {"dim": 512, "layers": 8} if full else {}
            config, weights = make_tiny_vocoder(Path(folder), **sizes)
            self.vocos = Vocos.from_hparams(str(config))
            self.vocos.load_state_dict(torch.load(weights, weights_only=True))
        self.vocos = self.vocos.eval().to(self.device)
        # Loud enough to be left as it is, and a whole number of frames.
        self.audio = 0.15 * torch.randn(1, REFERENCE_FRAMES * HOP, generator=torch.Generator().manual_seed(0))
        self.reference = MelSpec()(self.audio)[0].T
        import f5_tts.infer

        vocabulary = Path(next(iter(f5_tts.infer.__path__))) / "examples" / "vocab.txt"
        self.vocabulary, _ = get_tokenizer(str(vocabulary), "custom")
        self.reference_text = text(random.Random(0), REFERENCE_FRAMES * HOP / RATE) + " "

    def frames(self, chunk: str) -> int:
        """As `infer_batch_process` reckons them."""
        speech = REFERENCE_FRAMES / len(self.reference_text.encode()) * len(chunk.encode())
        return REFERENCE_FRAMES + int(speech)

    def speech_seconds(self, chunks: str) -> float:
        return sum(self.frames(chunk) - REFERENCE_FRAMES for chunk in self.chunks[chunks]) * HOP / RATE

    def synthesize(self, case: Case) -> tuple[Callable[[int], None], Any]:
        """A function that synthesizes all chunks of a case in so many steps, and the network that it does it with."""
        if self._made is None or self._made[0] != case.network:
            # The last one's memory is free before the next one asks how much there is.
            self._made = None
            free(self.device)
            self._made = (case.network, self._stock() if case.engine == "stock" else self._ours(case))
        made = self._made[1]
        run = self._run_stock(made, case) if case.engine == "stock" else self._run_ours(made, case)
        return run, made

    def _stock(self) -> Any:
        import copy

        import torch
        from f5_tts.model.cfm import CFM

        cfm = CFM(copy.deepcopy(self.dit), mel_spec_kwargs={}, vocab_char_map=self.vocabulary).eval()
        # As its `load_model` has it.
        return cfm.to(self.device, torch.float16 if self.device.type == "cuda" else torch.float32)

    def _ours(self, case: Case) -> Any:
        from f5_pipeline.speech.engines.f5.network import Network

        asked = {name: getattr(case, name) for name in ("dtype", "attention", "layout", "compile")}
        return Network(self.dit, device=str(self.device), **asked)

    def _run_stock(self, cfm: Any, case: Case) -> Callable[[int], None]:
        from f5_tts.infer import utils_infer

        infer: Any = utils_infer.infer_batch_process  # annotated otherwise than it is used

        def run(steps: int) -> None:
            made = infer(
                (self.audio, RATE),
                self.reference_text.strip(),
                self.chunks[case.chunks],
                cfm,
                self.vocos,
                progress=None,
                nfe_step=steps,
                cross_fade_duration=0,
                device=self.device,
            )
            wave, _, _ = next(made)
            check(len(wave), self.speech_seconds(case.chunks) * RATE)

        return run

    def _run_ours(self, network: Any, case: Case) -> Callable[[int], None]:
        from f5_tts.model import utils

        from f5_pipeline.speech.engines.f5.batching import batches
        from f5_pipeline.speech.engines.f5.network import Item
        from f5_pipeline.speech.engines.f5.sampling import Sampler
        from f5_pipeline.speech.engines.f5.vocoder import Vocoder

        list_str_to_idx: Any = utils.list_str_to_idx  # annotated otherwise than it is used
        vocoder = Vocoder(self.vocos, network.device)
        budget = case.batch or network.frame_budget()

        def run(steps: int) -> None:
            chunks = self.chunks[case.chunks]
            tokens = list_str_to_idx(
                utils.convert_char_to_pinyin([self.reference_text + chunk for chunk in chunks]), self.vocabulary
            )
            items = [
                Item(self.reference, row, self.frames(chunk) + 1, seed)
                for seed, (row, chunk) in enumerate(zip(tokens, chunks, strict=True))
            ]
            samples = 0
            for batch in batches(items, lambda item: item.frames, lambda: budget):
                waves = vocoder.decode(network.sample(batch, Sampler(nfe=steps)))
                samples += sum(len(wave) for wave in waves)
            check(samples, self.speech_seconds(case.chunks) * RATE)

        return run

    def measure(self, case: Case) -> dict[str, Any]:
        """A row: median seconds of the runs and what follows from them."""
        import torch

        from f5_pipeline.speech.engines.f5.sampling import PRESETS

        run, made = self.synthesize(case)
        nfe = PRESETS[case.preset].nfe
        steps = case.evaluations or nfe
        # Also with one step: kernels are made and memory is taken on the way.
        run(1)
        cuda = self.device.type == "cuda"
        if cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
        seconds = [seconds_of(lambda: run(steps), self.device) for _ in range(self.runs)]
        dtype = getattr(made, "dtype", "fp16" if cuda else "fp32")
        speech = self.speech_seconds(case.chunks)
        scaled = statistics.median(seconds) * nfe / steps
        work = sum(flop(self.architecture, self.frames(chunk)) for chunk in self.chunks[case.chunks]) * nfe
        return {
            "network": self.size,
            "chunks": case.chunks,
            "count": len(self.chunks[case.chunks]),
            "engine": case.engine,
            "preset": case.preset,
            "nfe": nfe,
            "steps_run": steps,
            "dtype": dtype,
            "attention": getattr(made, "attention", "sdpa"),
            "layout": getattr(made, "layout", "one at a time"),
            "compiled": getattr(made, "compiled", False),
            "batch_frames": None if case.engine == "stock" else case.batch or made.frame_budget(),
            "asked": case.network,
            "seconds": [round(one, 4) for one in seconds],
            "x_real_time": speech / scaled,
            "tflop_per_s": work / scaled / 1e12,
            "peak_gb": torch.cuda.max_memory_allocated(self.device) / 1e9 if cuda else None,
            "notes": list(getattr(made, "notes", [])),
            **(parts(made, self) if cuda and case.engine != "stock" else {}),
        }


def text(source: random.Random, seconds: float) -> str:
    """Words that last so long at BYTES_A_SECOND."""
    words = ("the", "narrow", "road", "went", "on", "over", "hills", "and", "through", "quiet", "villages", "again")
    made = ""
    while len(made) < seconds * BYTES_A_SECOND:
        made += source.choice(words) + " "
    return made[: int(seconds * BYTES_A_SECOND)].strip()


def check(samples: int, expected: float) -> None:
    """Both sides must have spoken all of it."""
    if abs(samples / expected - 1) > 0.05:
        raise RuntimeError(f"{samples} samples where {expected:.0f} were to be made")


def flop(architecture: Any, frames: int) -> float:
    """Floating point operations of one guided evaluation of a chunk: multiplications of matrices and convolutions."""
    dim, inner = architecture.dim, architecture.heads * 64
    block = 2 * dim * (4 * inner + 2 * architecture.ff_mult * dim) + 4 * frames * inner
    convolutions = 2 * 2 * 31 * dim * (dim // 16)
    return 2 * frames * (architecture.depth * block + convolutions + 4 * 100 * dim)


def parts(network: Any, bench: Bench) -> dict[str, float]:
    """Milliseconds of one guided evaluation, and of its convolutions and attention, on a batch of 14 s chunks."""
    import torch

    from f5_pipeline.speech.engines.f5.transformer import Packed, Padded

    lengths = [bench.frames(chunk) for chunk in bench.chunks["14 s"]]
    while len(lengths) > 1 and sum(lengths) > min(16_384, network.frame_budget()):
        lengths.pop()
    t, device = network._transformer, network.device
    if network.layout == "padded":
        layout: Any = Padded(lengths, 2, device)
    else:
        layout = Packed(lengths, 2, network._backend, device, multiple=128 if network.compiled else 1)
    rows = 2 * layout.frames
    condition = torch.randn(2, layout.frames, t.dim, device=device)
    state = torch.randn(layout.frames, t.bands, device=device)
    rotary = t.rotary(layout.positions).repeat(2, 1, 1)
    tables = torch.rand(len(t.blocks), 6, t.dim, device=device).to(t.dtype), torch.rand(2, t.dim, device=device)
    x = condition.to(t.dtype)
    q, k, v = torch.randn(3, rows, t.heads, t.head_dim, device=device).to(t.dtype)
    work = {
        "evaluation": lambda: t.flow(state, condition, layout, rotary, *tables),
        "convolutions": lambda: layout.convolve(x, t._convolutions),
        "attention": lambda: [layout.attend(q, k, v) for _ in t.blocks],
    }
    with torch.no_grad(), network._on_device():
        return {f"ms_{name}": 1e3 * best_seconds(run, device, 2) for name, run in work.items()}


def seconds_of(run: Callable[[], Any], device: Any) -> float:
    """Seconds of a run, by the clock."""
    from f5_pipeline.speech.engines.f5.acceleration import synchronize

    synchronize(device)
    started = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - started


def best_seconds(run: Callable[[], Any], device: Any, runs: int) -> float:
    return min(seconds_of(run, device) for _ in range(runs))


def matmul_rates(device: Any) -> dict[str, float]:
    """TFLOP/s of one large multiplication in each precision."""
    import torch

    from f5_pipeline.speech.engines.f5.acceleration import DTYPES

    size = 8192 if device.type == "cuda" else 2048
    rates = {}
    for name, dtype in DTYPES.items():
        if name == "fp16" and device.type == "cpu":
            continue
        try:
            a, b = torch.randn(2, size, size, device=device).to(dtype)
            rates[name] = 2 * size**3 / best_seconds(lambda a=a, b=b: a @ b, device, 8) / 1e12
        except RuntimeError as error:
            print(f"{name}: no multiplication here: {error}")
    return rates


def free(device: Any) -> None:
    import gc

    import torch

    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def cases(size: str, device: str) -> Iterator[Case]:
    """The rows, those that matter most first; those of one network together, since each takes a while to set up."""
    stock = Case("14 s", engine="stock")
    if device != "cuda":
        few = 2 if size == "full" else 8
        for chunks in ("14 s", "5 s"):
            yield replace(stock, chunks=chunks, evaluations=few)
        for dtype in ("fp32", "bf16"):
            for chunks in ("14 s", "5 s"):
                yield Case(chunks, dtype=dtype, batch=ALONE, evaluations=few)
        yield Case("5 s", evaluations=few)
        if size == "tiny":
            yield Case("5 s", dtype="fp32", evaluations=few)
            yield Case("5 s", dtype="fp32", layout="padded", evaluations=few)
        return
    for preset in ("final", "rapid"):
        for chunks in ("14 s", "5 s"):
            yield replace(stock, chunks=chunks, preset=preset)
    for preset in ("final", "fast", "rapid"):
        for chunks in ("14 s", "5 s"):
            yield Case(chunks, preset)
    for batch in (ALONE, 8_192):
        for chunks in ("14 s", "5 s"):
            yield Case(chunks, batch=batch)
    plain = Case("14 s", compile="off")
    yield from (plain, replace(plain, attention="sdpa"), replace(plain, layout="padded"))
    if find_spec("flash_attn"):
        yield replace(plain, attention="flash_attn")
    yield Case("14 s", dtype="bf16")


def workload(size: str, device: str) -> dict[str, list[str]]:
    """Texts of chunks, of lengths as sentences have them around the nominal one."""
    counts = {"14 s": 24, "5 s": 64} if device == "cuda" else {"14 s": 1, "5 s": 2}
    if size == "tiny" and device != "cuda":
        counts = {"14 s": 8, "5 s": 24}
    source = random.Random(1)
    chunks = {}
    for name, count in counts.items():
        seconds = float(name.split()[0])
        lengths = [1.0] if count == 1 else [0.8 + 0.4 * index / (count - 1) for index in range(count)]
        chunks[name] = [text(source, seconds * length) for length in lengths]
        source.shuffle(chunks[name])
    return chunks


def compared(rows: Sequence[dict[str, Any]], rates: dict[str, float]) -> list[dict[str, Any]]:
    """Rows with their ratio to the stock row of the same work, and their share of the matmul rate."""
    stock = {
        (row["network"], row["chunks"], row["nfe"]): row["x_real_time"] for row in rows if row["engine"] == "stock"
    }
    found = []
    for row in rows:
        base = stock.get((row["network"], row["chunks"], row["nfe"]))
        rate = rates.get(row["dtype"])
        found.append(
            {
                **row,
                "to_stock": row["x_real_time"] / base if base else None,
                "of_matmul": row["tflop_per_s"] / rate if rate else None,
            }
        )
    return found


def missed(rows: Sequence[dict[str, Any]], device: dict[str, Any]) -> list[str]:
    """The targets that were missed, in sentences; only those of this device, of the full network."""
    ours = [row for row in rows if row["engine"] != "stock" and row["network"] == "full"]
    found = []

    def target(what: str, least: float, got: Sequence[float | None]) -> None:
        measured = [one for one in got if one is not None]
        if measured and max(measured) < least:
            found.append(f"{what}: {max(measured):.2f}, not {least:g}")

    if device["type"] == "cpu":
        alone = [row["to_stock"] for row in ours if row["dtype"] == "fp32" and row["batch_frames"] == ALONE]
        target("fp32 at batch 1, to stock", TARGETS["cpu"] - NOISE, alone)
    if "H200" in device["name"]:
        for chunks in ("14 s", "5 s"):
            final = [row for row in ours if row["preset"] == "final" and row["chunks"] == chunks]
            target(f"{chunks} chunks, to stock", TARGETS[chunks], [row["to_stock"] for row in final])
        target("share of the matmul rate", TARGETS["matmul"], [row["of_matmul"] for row in ours])
        rapid = [row["x_real_time"] for row in ours if row["preset"] == "rapid"]
        target("rapid, x real time", TARGETS["rapid"], rapid)
    return found


def show(rows: Sequence[dict[str, Any]]) -> str:
    def cell(value: Any, form: str) -> str:
        return "–" if value is None else format(value, form)

    cells = []
    for row in rows:
        batch = {None: "stock", ALONE: "one chunk"}.get(row["batch_frames"], row["batch_frames"])
        nfe = str(row["nfe"]) if row["steps_run"] == row["nfe"] else f"{row['nfe']} from {row['steps_run']}"
        attention = row["attention"] + (", padded" if row["layout"] == "padded" else "")
        cells.append(
            [
                row["network"],
                f"{row['count']} x {row['chunks']}",
                row["engine"],
                row["dtype"],
                attention,
                "yes" if row["compiled"] else "no",
                batch,
                nfe,
                row["x_real_time"],
                cell(row["to_stock"], ".2f"),
                cell(row["of_matmul"], ".0%"),
                cell(row["peak_gb"], ".1f"),
            ]
        )
    return table(COLUMNS, cells)


def describe(device: Any) -> dict[str, Any]:
    import torch

    facts = {"type": device.type, "name": "cpu", "torch": torch.__version__, "threads": torch.get_num_threads()}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts |= {
            "name": properties.name,
            "memory_gib": round(properties.total_memory / 2**30),
            "cuda": torch.version.cuda,
        }
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--tiny", action="store_true", help="only the network of the tests")
    which.add_argument("--full", action="store_true", help="only F5TTS_v1_Base")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--runs", type=int, default=3, help="runs of a row, of which the median is told")
    parser.add_argument("--threads", type=int, help="of the CPU; default: what torch takes")
    parser.add_argument("--seconds", type=float, help="no new row after so long (default: 400 on CUDA, none else)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write there instead of benchmarks/results")
    given = parser.parse_args()

    started = time.monotonic()
    from f5_pipeline.speech.engines.f5.acceleration import choose_device
    from f5_pipeline.speech.engines.f5.checkpoint import import_f5_tts

    import_f5_tts()
    if given.threads:
        import torch

        torch.set_num_threads(given.threads)
    device = choose_device(given.device)
    limit = given.seconds or (400 if device.type == "cuda" else float("inf"))
    facts = describe(device)
    rates = matmul_rates(device)
    print(in_words(machine()))
    told = ", ".join(f"{rate:.3g} TFLOP/s {name}" for name, rate in rates.items())
    print(f"{facts['name']}, torch {facts['torch']}; multiplication of matrices: {told}\n", flush=True)

    sizes = ["tiny"] if given.tiny else ["full"] if given.full else ["full", "tiny"]
    rows: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []

    def keep() -> dict[str, Any]:
        found = {
            "device": facts,
            "matmul_tflop_per_s": rates,
            "rows": compared(rows, rates),
            "left_out": left_out,
        }
        if given.json:
            given.json.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n", encoding="utf-8")
        else:
            write_results(f"synthesis_{device.type}", found)
        return found

    for size in sizes:
        bench = Bench(size, device, workload(size, device.type), given.runs)
        for case in cases(size, device.type):
            if time.monotonic() - started > limit:
                left_out.append({"network": size, **vars(case), "reason": "out of time"})
                continue
            try:
                rows.append(bench.measure(case))
            # One row that cannot be measured must not lose the others, on a machine that nobody watches.
            except Exception as error:
                left_out.append({"network": size, **vars(case), "reason": f"{type(error).__name__}: {error}"[:300]})
                print(f"left out: {case}: {error}", flush=True)
            else:
                print(f"{time.monotonic() - started:4.0f} s  {case}: {rows[-1]['x_real_time']:.3g} x", flush=True)
            keep()
    found = keep()
    print(f"\n{show(found['rows'])}")
    for one in left_out:
        print(f"left out: {one}")
    if faults := missed(found["rows"], facts):
        raise SystemExit("missed: " + "; ".join(faults))


if __name__ == "__main__":
    main()
