"""From a recording and its transcript to a reference: what `f5_pipeline.speech.references.prepare` is made of."""
