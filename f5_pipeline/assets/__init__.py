"""The lineage, one file an asset, in the order of the flow. Thin: the work is done in `studio`."""
