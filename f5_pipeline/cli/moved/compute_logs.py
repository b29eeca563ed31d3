"""`f5_pipeline.compute_logs` of version 0.1, as `dagster.yaml` files name it."""

from f5_pipeline.dagster_host.compute_logs import StoreComputeLogs as StoreComputeLogs
