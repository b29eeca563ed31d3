"""The partitions of voices and of narrations, added as they appear, and months."""

import dagster as dg

VOICES = dg.DynamicPartitionsDefinition(name="voices")
NARRATIONS = dg.DynamicPartitionsDefinition(name="narrations")

MONTHS = dg.MonthlyPartitionsDefinition(start_date="2026-01", fmt="%Y-%m", end_offset=1)
"""Calendar months in UTC, the present one included."""
