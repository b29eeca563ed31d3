"""soundfile, ready for threads.

cffi makes the types of a library's functions as each is used for the first time, and since 2.0 two threads that use one
at once can end the process (python-cffi/cffi, issue 271). Here all are made while this module is imported, which one
thread does.
"""

from __future__ import annotations

import contextlib
import io

import numpy as np
import soundfile

__all__ = ["soundfile"]


def _make_types() -> None:
    for name in dir(soundfile._snd):
        with contextlib.suppress(AttributeError):  # of a later version than the library
            getattr(soundfile._snd, name)
    # What is read and written through memory needs types of its own.
    for dtype in ("float32", "float64", "int16", "int32"):
        file = io.BytesIO()
        soundfile.write(file, np.zeros(1, dtype), 24_000, format="FLAC")
        file.seek(0)
        soundfile.read(file, dtype=dtype)


_make_types()
