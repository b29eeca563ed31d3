"""The assets, a file each, in the order of the flow. Thin: the work is done in `studio`."""
