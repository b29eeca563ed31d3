"""Transcripts of recordings; start with `reader.read_transcript`; the other modules read one format each."""
