"""Every missing key, column or number of a result is named with its file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sttreid.analysis.claims import QUESTIONS
from sttreid.analysis.result_files import read_claims, read_history, read_queries, read_result
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_json, write_table
from tests.analysis import contents


def refusal(path: Path, read: Any) -> str:
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    return str(error.value)


def without_one(value: Any, depth: int = 0) -> Iterator[Any]:
    """The content without each of its keys in turn, of equal siblings the first."""
    for place, (key, part) in enumerate(value.items()):
        yield {name: other for name, other in value.items() if name != key}
        if isinstance(part, dict) and (place == 0 or depth == 0):
            yield from ({**value, key: changed} for changed in without_one(part, depth + 1))


@pytest.mark.parametrize("kind", ["cross_domain", "ablation"])
def test_a_result_without_a_key_is_refused(tmp_path: Path, kind: str) -> None:
    content = getattr(contents, f"{kind}_content")(0)
    path = tmp_path / "0.json"
    write_json(path, content)
    assert read_result(path) == json.loads(path.read_text())
    whole = {name for variant in content.get("variants", {}) for name in (variant,)} | set(
        content.get("sources", {})
    )
    count = 0
    for changed in without_one(content):
        models = set(changed.get("variants", {})) | set(changed.get("sources", {}))
        sound = models and models < whole and set(changed) == set(content)
        also = (
            changed.get("variants", {}).get("vanilla", {}).keys()
            ^ content.get("variants", {}).get("vanilla", {}).keys()
        )
        if sound or also == {"source"}:  # a model less, or a key that nobody reads
            continue
        write_json(path, changed)
        refusal(path, read_result)
        count += 1
    assert count > 15


@pytest.mark.parametrize("value", [None, "0.5", 2, -1, [], {}, True])
def test_a_number_of_another_kind_is_refused(tmp_path: Path, value: Any) -> None:
    content = contents.cross_domain_content(0)
    content["sources"]["campus"]["winter"]["rank1"] = value
    write_json(tmp_path / "0.json", content)
    refusal(tmp_path / "0.json", read_result)


def test_per_query_results_without_a_column_are_refused(tmp_path: Path) -> None:
    path, table = tmp_path / "0.parquet", contents.cross_domain_queries([contents.cross_domain_content(0)])
    write_table(path, table)
    pd.testing.assert_frame_equal(read_queries(path, "sources"), table)
    write_table(path, table.astype({"source": "category", "target": "category"}))
    pd.testing.assert_frame_equal(read_queries(path, "sources"), table)
    write_table(path, table.assign(source=table["source"].where(table.index > 0).astype("category")))
    assert "source" in refusal(path, lambda path: read_queries(path, "sources"))
    for name in ("query", "identity", "first_hit", "ap", "inp", "seed", "source", "target"):
        write_table(path, table.drop(columns=name))
        assert name in refusal(path, lambda path: read_queries(path, "sources"))
        write_table(path, table.assign(**{name: [["a"]] * len(table)}))
        assert name in refusal(path, lambda path: read_queries(path, "sources"))


@pytest.mark.parametrize("name", ["ap", "inp", "visibility"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("inf")])
def test_per_query_results_beyond_their_range_are_refused(tmp_path: Path, name: str, value: float) -> None:
    path, table = tmp_path / "0.parquet", contents.cross_domain_queries([contents.cross_domain_content(0)])
    write_table(path, table.assign(**{name: table[name].where(table.index > 0, value)}))
    assert name in refusal(path, lambda path: read_queries(path, "sources"))


@pytest.mark.parametrize(
    "text",
    ["", "step\n1\n", "step\tloss\ttrain_rank1\tvalidation_rank1\na\t1\t1\t1\n", "\0", "step\tloss\n1"],
)
def test_a_damaged_history_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(contents.history().to_csv(sep="\t", index=False))
    assert len(read_history(path)) == 10
    path.write_text(text)
    refusal(path, read_history)


def test_published_claims_without_a_key_are_refused(tmp_path: Path) -> None:
    effect = {"effect": 0.1, "low": 0.0, "high": 0.2, "verdict": "supported"}
    contrast = {
        "question": "RQ1",
        "ours": "a",
        "theirs": "b",
        "confirmatory": True,
        "in_domain": {"rank1": effect},
    }
    question = {"verdict": {"in_domain": "supported"}, "paper": "a", "read_in": "b"}
    content = {"seeds": 5, "source": "a", "questions": {"RQ1": question}, "contrasts": {"c": contrast}}
    path = tmp_path / "claims.json"
    write_json(path, content)
    assert read_claims(path, [*QUESTIONS]) == content
    for changed in (
        {**content, "questions": {"RQ9": question}},
        {**content, "questions": {"RQ1": {"paper": "a"}}},
        {**content, "contrasts": {"c": {**contrast, "ours": 3}}},
        {**content, "contrasts": {"c": {**contrast, "in_domain": {"rank1": {"effect": "a"}}}}},
        *({key: value for key, value in content.items() if key != name} for name in content),
    ):
        write_json(path, changed)
        refusal(path, lambda path: read_claims(path, [*QUESTIONS]))
