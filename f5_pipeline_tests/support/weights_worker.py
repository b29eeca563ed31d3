"""A process of its own that acquires a model: `python -m f5_pipeline_tests.support.weights_worker '{…}'`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from f5_pipeline.store.local import LocalStore
from f5_pipeline.weights.library import Library, Progress
from f5_pipeline.weights.registry import ModelSpec, VocoderSpec
from f5_pipeline_tests.support.weights_place import RemoteStore


def main() -> None:
    told = json.loads(sys.argv[1])
    at = Path(told["store"])
    seen: set[str] = set()

    def show(now: Progress) -> None:
        seen.add(now.what)

    library = Library(
        RemoteStore(at) if told["remote"] else LocalStore(at),  # type: ignore[arg-type]
        cache=Path(told["cache"]),
        cache_bytes=told["limit"],
        hub=told["hub"],
        models={name: ModelSpec.model_validate(one) for name, one in told["models"].items()},
        vocoders={name: VocoderSpec.model_validate(one) for name, one in told["vocoders"].items()},
    )
    acquired = library.acquire(told["name"], show)
    ended = {"source": acquired.source, "path": str(acquired.files.checkpoint), "seen": sorted(seen)}
    sys.stdout.write(json.dumps(ended) + "\n")
    sys.stdout.flush()
    if told["hold"]:
        sys.stdin.read()


if __name__ == "__main__":
    main()
