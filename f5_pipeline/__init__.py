"""f5_pipeline: a Dagster code location that turns scripts into finished narrations in cloned voices."""

from pathlib import Path

__version__ = "0.1.0"

# Names of modules that users' files may still hold (dagster.yaml in DAGSTER_HOME) are found there, for one release.
__path__.append(str(Path(__file__).parent / "cli" / "moved"))
