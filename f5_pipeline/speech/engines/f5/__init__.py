"""The F5-TTS engine: checkpoints in, narrated chunks out, in batches that do not change what a chunk sounds like.

In the order in which to read it:

- `engine`: the engine protocol: requests to batches, batches to speech; what happens when one fails.
- `text`, `conditioning`: what the network is given: a chunk's characters, the reference's mel frames and words.
- `batching`: which chunks are sampled together.
- `network`: a batch of chunks to mel frames; overflow, cancelling, memory.
- `sampling`: the sampler's settings and presets; noise, time steps, the ODE solver, guidance.
- `transformer`: the network itself, from top to bottom, with the legend of shapes; parameters, a block, attention, how
  chunks lie in a batch.
- `vocoder`: mel frames to samples.
- `acceleration`: which precision, attention backend and compilation a device gets, each tried before it is taken.
- `architecture`, `checkpoint`: the sizes and files of a model; files to the stock modules of f5-tts and vocos.
- `devices`: what the machine has, without torch, and what `f5-pipeline doctor` reports of it.

torch and f5-tts are imported at the top of `network`, `transformer`, `acceleration` and `vocoder` alone; the others can
be imported where neither is installed.
"""
