"""Modules under their names of version 0.1, found as `f5_pipeline.<name>`: a `dagster.yaml` that was copied into a
DAGSTER_HOME names them. To be removed with version 0.3."""
