"""The report finds the published verdicts."""

from dataclasses import asdict

import pytest

from sttreid.analysis.uncertainty import MIN_SEEDS
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_json
from sttreid.runtime.provenance import Provenance
from sttreid.stages.report import published_claims


def publish(folder, day, seeds=MIN_SEEDS, **changes):
    origin = Provenance("claims", "a" * 40, False, f"2026-01-{day:02}T00:00:00+00:00", 1, [], {}, {}, {}, [])
    content = {"seeds": seeds, "source": "campus", "questions": {}, "contrasts": {}, "day": day}
    write_json(folder / "claims.json", content)
    write_json(folder / "provenance.json", asdict(origin) | changes)


def test_the_newest_publication_with_enough_seeds_is_found(tmp_path):
    assert published_claims(tmp_path) is None
    publish(tmp_path / "claims", 1)
    publish(tmp_path / "longer" / "aaaaaaaaaa", 3)
    publish(tmp_path / "longer" / "bbbbbbbbbb", 2)
    publish(tmp_path / "claims" / "cccccccccc", 8, seeds=MIN_SEEDS - 1)
    publish(tmp_path / "claims" / ".dddddddddd.partial", 9)
    write_json(tmp_path / "claims.json", {"seeds": MIN_SEEDS, "day": 10})  # of the run itself
    content = published_claims(tmp_path)
    assert content["day"] == 3
    assert content["publication"]["commit"] == "a" * 10
    assert content["publication"]["folder"].endswith("longer/aaaaaaaaaa")


def test_an_unreadable_publication_is_named(tmp_path):
    publish(tmp_path / "claims", 1, threads="many")
    with pytest.raises(InputError, match=r"claims/provenance\.json"):
        published_claims(tmp_path)
