"""What the stages of a study read: variants of params.yaml, and the default run's models as the reference."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from sttreid.analysis.results import COUNTS
from sttreid.config import paths
from sttreid.config.study import BESIDE, Beside
from sttreid.retrieval.metrics import METRICS
from sttreid.runner.record import publish_seeds
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_json, write_table, write_text
from sttreid.stages.inputs import ablation_runs
from tests.analysis.studies import TARGETS, history, queries

SEEDS = [0, 1]
RULES = ("source", "gallery", "excluded", "average_precision", "ties")
PROTOCOL = {"name": "embedded", "unmatched": "drop", **dict.fromkeys(RULES, "as usual")}


def numbers():
    values = {**{metric.name: 0.5 for metric in METRICS}, **dict.fromkeys(COUNTS, 86)}
    return dict.fromkeys(TARGETS, values)


def tables(rate, seed, **columns):
    return pd.concat([queries(target, rate, seed) for target in TARGETS], ignore_index=True).assign(**columns)


@pytest.fixture
def artifacts(tmp_path, monkeypatch):
    """Results of two seeds: a variant, another one that a former run left, and models of the default run."""
    monkeypatch.chdir(tmp_path)
    protocol = dict.fromkeys(TARGETS, PROTOCOL)
    for seed in SEEDS:
        variants = {
            name: {"composition": [], "pretrain_steps": 0, "steps": 3, "moments": {"trained": numbers()}}
            for name in ("cnn", "former")
        }
        write_json(paths.result("ablation", seed), {"seed": seed, "protocol": protocol, "variants": variants})
        rows = [tables(0.4, seed, variant=name, moment="trained") for name in variants]
        write_table(paths.queries("ablation", seed), pd.concat(rows, ignore_index=True).assign(seed=seed))
        sources = {name: numbers() for name in ("home", "synthetic", "untrained", "away")}
        write_json(
            paths.result("cross_domain", seed), {"seed": seed, "protocol": protocol, "sources": sources}
        )
        rows = [tables(0.6, seed, source=name) for name in sources]
        tested = pd.concat(rows, ignore_index=True).assign(seed=seed)
        write_table(paths.queries("cross_domain", seed), tested)
        for group, name, steps in (
            ("ablation", "cnn", 3),
            ("cross_domain", "home", 2),
            ("cross_domain", "synthetic", 5),
        ):
            text = history([0.5] * steps).to_csv(sep="\t", index=False)
            write_text(paths.history(group, seed, name), text)


def ablation(reference):
    return SimpleNamespace(source="home", reference=reference, variants={"cnn": {}})


def test_variants_come_with_every_seed_and_the_reference_from_the_cross_domain_results(artifacts):
    runs, protocols = ablation_runs(ablation("full"), "synthetic", TARGETS, SEEDS)
    assert protocols == dict.fromkeys(TARGETS, "embedded")
    steps = {(run.variant, run.seed): (run.pretrain_steps, run.steps) for run in runs}
    expected = {"cnn": (0, 30), "full": (50, 20), "full-pretrained": (50, 0), "full-untrained": (0, 0)}
    assert steps == {(name, seed): numbers for name, numbers in expected.items() for seed in SEEDS}


def test_a_study_has_no_reference(artifacts):
    runs, _ = ablation_runs(ablation(None), "synthetic", TARGETS, SEEDS)
    assert [(run.variant, run.seed) for run in runs] == [("cnn", 0), ("cnn", 1)]


def test_a_result_of_other_queries_is_refused(artifacts):
    path = paths.result("ablation", 1)
    content = json.loads(path.read_text())
    content["variants"]["cnn"]["moments"]["trained"]["home"]["queries"] = 85
    write_json(path, content)
    with pytest.raises(InputError, match="results of seed 1: queries of home must be the same"):
        ablation_runs(ablation(None), "synthetic", TARGETS, SEEDS)


def test_variants_of_another_study_come_from_what_it_published(artifacts):
    """The same tests as of its own results: what no statistics read is left out of a publication."""
    folder = Path(BESIDE) / "other"
    for seed in SEEDS:
        copied = paths.history("ablation", seed, "former")
        copied.parent.mkdir(parents=True)
        shutil.copy(paths.history("ablation", seed, "cnn"), copied)
    outs = [path for path in paths.ARTIFACTS.glob("*/ablation/*") if path.is_file()]
    outs += paths.ARTIFACTS.glob("history/ablation/*/former")
    publish_seeds(Path(), {"all": {"outs": [{"path": str(path)} for path in outs]}}, folder)
    for seed in SEEDS:
        own = paths.queries("ablation", seed)
        table = pd.read_parquet(own)
        write_table(own, table[table["variant"] == "cnn"])
    runs, _ = ablation_runs(ablation(None), "synthetic", TARGETS, SEEDS, Beside("other", ["former"]))
    assert [(run.variant, run.seed) for run in runs] == [
        (name, seed) for seed in SEEDS for name in ("cnn", "former")
    ]
    own, other = runs[0], runs[1]
    assert (own.steps, own.train_rank1) == (other.steps, other.train_rank1)
    for target in TARGETS:
        mine, theirs = (run.queries[target].drop(columns="variant") for run in (own, other))
        assert {"ap", "first_hit", "identity", "query", "length"} <= set(theirs)
        pd.testing.assert_frame_equal(mine[[*theirs]].reset_index(drop=True), theirs.reset_index(drop=True))
