"""The forms in which transcripts come: what `f5_pipeline.speech.transcript` is made of."""
