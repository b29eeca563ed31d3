"""The assets, one file each. `studio` does the work."""
