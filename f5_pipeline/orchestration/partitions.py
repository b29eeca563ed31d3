"""The partitions of voices and of narrations, added as they appear."""

import dagster as dg

VOICES = dg.DynamicPartitionsDefinition(name="voices")
NARRATIONS = dg.DynamicPartitionsDefinition(name="narrations")
