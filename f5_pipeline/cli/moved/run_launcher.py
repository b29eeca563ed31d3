"""`f5_pipeline.run_launcher` of version 0.1, as `dagster.yaml` files name it."""

from f5_pipeline.dagster_host.run_launcher import LocalRunLauncher as LocalRunLauncher
