"""What a month may cost: the sum of what its batches have cost, by their reports, against F5_MONTHLY_COST."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

import dagster as dg

from f5_pipeline.settings import Settings

_MAX_RECORDS = 1000
"""Reports in one request to the database."""


class Month(NamedTuple):
    """The budget of a calendar month, in the currency of F5_GPU_HOUR_COST."""

    limit: float
    spent: float

    @property
    def left(self) -> float:
        return self.limit - self.spent

    @property
    def refusal(self) -> str:
        """Why nothing more is launched, for people."""
        return (
            f"The batches of this month have cost {self.spent:.2f} of the {self.limit:.2f} that F5_MONTHLY_COST allows."
        )


def month_of(instance: dg.DagsterInstance, settings: Settings, now: datetime) -> Month | None:
    """The budget of the month of `now` in F5_TIMEZONE; None where there is no limit.

    A batch counts once it is reported: one that is at work when the limit is reached ends above it. Runs that a person
    has launched for single narrations are not counted.
    """
    if not settings.monthly_cost:
        return None
    first = now.astimezone(ZoneInfo(settings.timezone)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    of_month = dg.AssetRecordsFilter(
        asset_key=dg.AssetKey("batch_report"), after_timestamp=first.astimezone(timezone.utc).timestamp()
    )
    costs: dict[str, float] = {}  # by run: a step that reports may be tried again
    cursor, more = None, True
    while more:
        page = instance.fetch_materializations(of_month, limit=_MAX_RECORDS, cursor=cursor)
        for record in page.records:
            metadata = record.asset_materialization.metadata if record.asset_materialization else {}
            value = metadata["cost"].value if "cost" in metadata else 0.0
            costs[record.run_id or str(record.storage_id)] = float(value) if isinstance(value, int | float) else 0.0
        cursor, more = page.cursor, page.has_more
    return Month(settings.monthly_cost, sum(costs.values()))
