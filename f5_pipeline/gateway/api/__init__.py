"""The HTTP API: narrations, voices and the lexicon for programs, OpenAI's speech endpoint, RunPod's calls.

`app` makes it, `access` is at its door; a file each for what it offers. It works on the studio as the command line
does: a narration is put into the in-box and narrated by what `f5-pipeline up` runs, reached by the `port` alone.
"""
