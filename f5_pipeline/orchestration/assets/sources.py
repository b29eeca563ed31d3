"""What people bring: recordings and scripts. They are not made here; adding or editing one is told to Dagster, so that
what was made from an older state is called stale."""

from f5_pipeline.orchestration.lineage import spec

voice_recording = spec(
    "voice_recording",
    "A person's recording with its transcript, as it was added: `f5-pipeline voices add NAME RECORDING`.",
)

script = spec(
    "script",
    "What a person wrote to be narrated: text, Markdown or F5-TTS's own multi-voice form, with what was "
    "said beside it (voice, engine, speed): `f5-pipeline scripts add FILE`, the job `submit_script`, or a file put "
    "into `scripts/` of the store. The events of a partition tell when it was seen, edited, and retired (removed).",
)
