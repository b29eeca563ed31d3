"""f5-pipeline lexicon, as a person uses it."""

from __future__ import annotations

import pytest

from f5_pipeline_tests.support.quick import quick

pytestmark = pytest.mark.slow


def test_a_lexicon_is_made_used_and_given_away(installation, voices):
    made = installation.copy(voices)
    quick(made, "lexicon", "add", "Nietzsche", "/ˈniːtʃə/", "--language", "en")
    quick(made, "lexicon", "add", "Sils Maria", "Zeels Mareeah", "--voice", "ada")
    refused = quick(made, "lexicon", "add", "Kant", "n5", "--ipa", code=2)
    assert "no sound of the IPA" in refused.err
    before = [entry["written"] for entry in quick(made, "lexicon", "list", "--json").objects]
    assert before == ["Nietzsche", "Sils Maria"]

    [said] = quick(made, "lexicon", "test", "Nietzsche’s", "--sample", made.root / "a.wav", "--json").objects
    assert (said["draft"], said["f5"]) == ("[[ˈniːtʃəz]]", "neecha's")
    assert said["draft_ipa"].replace("ˈ", "") == "niːtʃəz"
    assert (made.root / "a.wav").stat().st_size > 10_000

    script = made.write("story.txt", "We met Nietzsche and Siobhan in Sils Maria, with much Weltanschauung.\n")
    samples = made.root / "samples"
    new = quick(made, "lexicon", "suggest", script, "--voice", "ada", "--samples", samples, "--json").objects
    assert {(word["written"], word["why"]) for word in new} == {("Siobhan", "name"), ("Weltanschauung", "foreign: de")}
    assert sorted(path.name for path in samples.iterdir()) == sorted(word["sample"] for word in new)

    csv, pls = made.root / "all.csv", made.root / "all.pls"
    quick(made, "lexicon", "export", csv)
    assert "1 entries have no place" in quick(made, "lexicon", "export", pls).err
    quick(made, "lexicon", "remove", "nietzsche")
    assert "1 added, 0 changed" in quick(made, "lexicon", "import", pls).err
    assert "2 in all" in quick(made, "lexicon", "import", csv, "--replace").err
    assert quick(made, "lexicon", "remove", "Nietsche", code=2).err.endswith("Did you mean Nietzsche?\n")
