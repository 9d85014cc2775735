"""The report finds the published verdicts."""

from dataclasses import asdict

import pytest

from sttreid.analysis.uncertainty import MIN_SEEDS
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, write_json
from sttreid.runtime.provenance import Provenance
from sttreid.stages.report import published_claims


def publish(folder, day, seeds=MIN_SEEDS, study="claims", **changes):
    origin = Provenance(study, "a" * 40, False, f"2026-01-{day:02}T00:00:00+00:00", 1, [], {}, {}, {}, [])
    content = {"seeds": seeds, "source": "campus", "questions": {}, "contrasts": {}, "day": day}
    write_json(folder / "claims.json", content)
    write_json(folder / "provenance.json", asdict(origin) | changes)


def test_the_newest_publication_of_each_study_with_enough_seeds_is_found(tmp_path):
    assert published_claims(tmp_path) == []
    publish(tmp_path / "claims", 1)
    publish(tmp_path / "longer" / "aaaaaaaaaa", 3, study="longer", params={"ablation": {"source": "park"}})
    publish(tmp_path / "longer" / "bbbbbbbbbb", 2, study="longer")
    publish(tmp_path / "claims" / "cccccccccc", 8, seeds=MIN_SEEDS - 1)
    publish(tmp_path / "claims" / ".dddddddddd.partial", 9)
    write_json(tmp_path / "claims.json", {"seeds": MIN_SEEDS, "day": 10})  # of the run itself
    content, older = published_claims(tmp_path)
    assert (content["day"], older["day"]) == (3, 1)
    assert content["publication"]["study"] == "longer"
    assert content["publication"]["commit"] == "a" * 10
    assert content["publication"]["folder"].endswith("longer/aaaaaaaaaa")
    assert (content["source"], content["trained_on"]) == ("campus", "park")
    assert older["trained_on"] == "campus"


def test_what_a_study_trains_on_is_what_its_claims_say(tmp_path):
    publish(tmp_path / "large", 1, params={"ablation": {"source": "park"}})
    content = read_json(tmp_path / "large" / "claims.json")
    write_json(tmp_path / "large" / "claims.json", content | {"trained_on": "campus-large"})
    assert [each["trained_on"] for each in published_claims(tmp_path)] == ["campus-large"]
    write_json(tmp_path / "large" / "claims.json", content | {"trained_on": 3})
    with pytest.raises(InputError, match="trained_on"):
        published_claims(tmp_path)


def test_an_unreadable_publication_is_named(tmp_path):
    publish(tmp_path / "claims", 1, threads="many")
    with pytest.raises(InputError, match=r"claims/provenance\.json"):
        published_claims(tmp_path)
