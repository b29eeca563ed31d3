"""What people bring: recordings, scripts and the lexicon. Each new or edited one is reported to Dagster, so that what
was made from an older version shows as stale."""

from f5_pipeline.orchestration.lineage import spec

voice_recording = spec(
    "voice_recording",
    "A person's recording with its transcript, as it was added: `f5-pipeline voices add NAME RECORDING`.",
)

script = spec(
    "script",
    "A text to be narrated: plain, Markdown or F5-TTS's own multi-voice form, with its options (voice, engine, speed): "
    "`f5-pipeline scripts add FILE`, the job `submit_script`, or a file put into `scripts/` of the store. The events "
    "of a partition show when it was seen, edited, and retired (removed).",
)

lexicon = spec(
    "lexicon",
    "How words are said that a voice would say wrong: `f5-pipeline lexicon add WORD SAID`, or `lexicon.csv` of the "
    "store. A changed entry makes only the takes anew that hold its words; a plan lists the entries that it uses.",
)
