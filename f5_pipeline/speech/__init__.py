"""The craft: text in, audio and word times out. Knows no Dagster, no store and no network."""
