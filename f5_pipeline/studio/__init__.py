"""The work behind each asset, without Dagster: speech and store together, callable from any Python program."""
