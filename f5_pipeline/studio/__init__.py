"""What each asset does, without Dagster: speech and store brought together, callable from any Python program."""
