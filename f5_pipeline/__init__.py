"""f5_pipeline: a Dagster code location that turns scripts into finished narrations in cloned voices."""

__version__ = "0.1.0"
