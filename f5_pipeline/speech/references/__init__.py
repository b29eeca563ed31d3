"""From a recording and its transcript to a reference; `prepare.prepare_reference` is the way in."""
