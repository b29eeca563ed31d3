"""What the API needs of whoever runs narrations: `orchestration.launching.desk`, which `f5-pipeline serve` brings."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from f5_pipeline.studio.figures import Figures
from f5_pipeline.studio.removal import Receipt
from f5_pipeline.studio.state import NarrationState
from f5_pipeline.studio.webhooks import Webhook


class Desk(Protocol):
    """The in-box. Calls may block."""

    def call(self, narration: str) -> None:
        """Have the script of a narration looked at now."""
        ...

    def state(self, narration: str) -> NarrationState:
        """How far it is. Raises InputError where it has no script."""
        ...

    def states(self, narrations: Collection[str]) -> dict[str, NarrationState]:
        """The same of many, by name, without those that have no script. Raises InputError for one alone."""
        ...

    def cancel(self, narration: str) -> None:
        """Do not make it; a run that works on it alone is interrupted."""
        ...

    def runs(self, narrations: Collection[str]) -> list[str]:
        """Ended runs that have left values in the store and worked on one of these."""
        ...

    def removed(self, receipt: Receipt) -> None:
        """Something was removed for good."""
        ...

    def webhook(self, narration: str) -> Webhook | None:
        """How far it is to tell of its newest end; None before the first."""
        ...

    def figures(self) -> Figures:
        """The queue and what batches have made, without a look into the store's narrations."""
        ...

    def retry(self, narration: str) -> None:
        """Make it after all, at once."""
        ...
