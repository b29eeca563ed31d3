"""Bytes by key: a local folder or an object store behind one small protocol. Knows no Dagster and no speech."""
