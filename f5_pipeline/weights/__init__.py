"""Model weights: the registry, the locks, and the transfer of files from the hub to an engine."""
