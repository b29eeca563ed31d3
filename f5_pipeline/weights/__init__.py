"""Model weights: what there is, what is locked, and the way of the bytes from the hub to an engine."""
