"""From a recording and its transcript to a reference; start with `prepare.prepare_reference`."""
