"""Transcripts of recordings; `reader.read_transcript` is the way in, the other modules read one form each."""
