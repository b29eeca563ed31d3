"""Text in, audio and word times out, without Dagster, store or network."""
