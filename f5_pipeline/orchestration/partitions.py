"""The partitions: one a voice, one a narration, added as they appear."""

import dagster as dg

VOICES = dg.DynamicPartitionsDefinition(name="voices")
NARRATIONS = dg.DynamicPartitionsDefinition(name="narrations")
