"""The F5-TTS engine: checkpoints in, narrated chunks out, in batches that do not change what a chunk sounds like."""
