"""The forms in which transcripts come: what `f5_pipeline.speech.transcripts.reader` is made of."""
