"""The lexicon in the lineage."""

from __future__ import annotations

import dagster as dg

from f5_pipeline.orchestration.reporting.observations import report_lexicon
from f5_pipeline.orchestration.reporting.provenance import materialization_tags
from f5_pipeline.speech.text.lexicon import Entry


def test_each_version_of_the_lexicon_is_observed_once_and_plans_name_theirs():
    entry = Entry(written="Nietzsche", said="Neecha")
    with dg.DagsterInstance.ephemeral() as instance:

        def observed() -> list[int]:
            records = instance.fetch_observations(dg.AssetKey("lexicon"), limit=9).records
            observations = [record.event_log_entry.asset_observation for record in records]
            return [int(str(one.metadata["entries"].value)) for one in observations if one is not None]

        def tags() -> str:
            inputs = {"lexicon": None}
            found = materialization_tags(
                instance, data_version="1", code_version="1", inputs=inputs, observed=["lexicon"]
            )
            return next((value for name, value in found.items() if name.endswith("data_version/lexicon")), "")

        report_lexicon(instance, [])
        assert observed() == [] and tags() == ""
        report_lexicon(instance, [entry])
        report_lexicon(instance, [entry.model_copy(update={"note": "changes no sound"})])
        assert observed() == [1]
        before = tags()
        assert before
        report_lexicon(instance, [])
        assert observed() == [0, 1] and tags() != before
