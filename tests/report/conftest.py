"""Results as the stages write them, with numbers that can be checked by head, and the queries behind them."""

import io
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sttreid.report.evidence import evidence
from sttreid.report.films import Pictures
from sttreid.report.page import Findings
from sttreid.report.site import site
from sttreid.report.summary import arms, matrix
from sttreid.retrieval.protocol import Protocol
from tests.report.studies import pages

TARGETS = ["campus", "winter", "station"]
QUERIES = {"campus": 100, "winter": 200, "station": 300}  # so that all rates are whole numbers of queries
EACH = 5  # queries of an identity
PROTOCOL = asdict(
    Protocol(
        name="embedded",
        source="Made for these tests.",
        gallery="all",
        excluded="same identity and camera",
        average_precision="step",
        unmatched="drop",
        ties="pessimistic",
    )
)


def numbers(rank1, target):
    """One cell: mAP is half of rank-1, counts depend on the target alone."""
    place = TARGETS.index(target)
    rates = {
        "rank1": rank1,
        "rank5": rank1,
        "rank10": 1.0,
        "rank20": 1.0,
        "mAP": rank1 / 2,
        "mINP": rank1 / 4,
    }
    counts = {
        "queries": QUERIES[target],
        "unmatched": place,
        "gallery": 120 + 2 * place,
        "distractors": 20 + place,
        "left_out": 3 * place,
        "junk": 5 * place,
    }
    return {**rates, **counts}


def result(seed):
    """Rank-1 of seed 0: 0.5 in-domain, 0.3 cross-domain, 0.2 direct; a seed adds 0.1 to what is trained."""
    gain = seed / 10
    sources = {s: {t: numbers((0.5 if s == t else 0.3) + gain, t) for t in TARGETS} for s in TARGETS}
    sources["unreal"] = {t: numbers(0.2 + gain, t) for t in TARGETS}
    sources["untrained"] = {t: numbers(0.04, t) for t in TARGETS}
    sources["histogram"] = {t: numbers(0.25, t) for t in TARGETS}
    sources["equalised"] = {t: numbers(0.5, t) for t in TARGETS}
    return {"protocol": {target: dict(PROTOCOL) for target in TARGETS}, "seed": seed, "sources": sources}


def cell(variant, seed, train, rank1=0.4):
    """One ablation cell; cross-domain rank-1 is 0.1 and 0.2 lower."""
    targets = {target: numbers(rank1 - 0.1 * place, target) for place, target in enumerate(TARGETS)}
    looks = {"train_rank1": train, "validation_rank1": train / 2, "pretrain_steps": 900, "steps": 1500}
    return {
        "variant": variant,
        "seed": seed,
        "source": "campus",
        "reuses": False,
        "composition": f"ST + TT, {variant}",
        "protocol": {target: dict(PROTOCOL) for target in TARGETS},
        "targets": targets,
        **looks,
    }


def per_query(content, target, **place):
    """The queries behind one cell: the first ones are matched at rank 1, the others at rank 7.

    All have the average precision of the mean, so that only seeds spread the mAP. Those that nothing matches
    come last. Later queries are seen less and for longer.
    """
    counted, unmatched = content["queries"], content["unmatched"]
    query = np.arange(counted + unmatched)
    there = query < counted
    return pd.DataFrame(
        {
            "query": query,
            "identity": 10 + query // EACH,
            "first_hit": np.where(there, np.where(query < round(content["rank1"] * counted), 1, 7), 0),
            "ap": np.where(there, content["mAP"], np.nan),
            "inp": np.where(there, content["mINP"], np.nan),
            "length": 10 + query // EACH,
            "visibility": 1 - query / len(query),
            "target": target,
            **place,
        }
    )


@pytest.fixture(scope="session")
def told():
    """The Markdown and the HTML page of a study's answers."""
    return pages()


@pytest.fixture
def asked():
    """Cross-domain results -> their per-query results."""

    def frame(results):
        rows = [
            per_query(content, target, source=source, seed=one["seed"])
            for one in results
            for source, targets in one["sources"].items()
            for target, content in targets.items()
        ]
        return pd.concat(rows, ignore_index=True)

    return frame


@pytest.fixture
def tried():
    """Ablation cells -> their per-query results."""

    def frame(cells):
        rows = [
            per_query(content, target, variant=one["variant"], seed=one["seed"])
            for one in cells
            for target, content in one["targets"].items()
        ]
        return pd.concat(rows, ignore_index=True)

    return frame


@pytest.fixture
def cross(asked):
    """Cross-domain results -> their long table and the evidence behind it."""

    def both(results, targets=TARGETS):
        table = matrix(results, targets, "unreal")
        return table, evidence(asked(results), "source", table)

    return both


@pytest.fixture
def ablated(tried):
    """Ablation cells -> their long table and the evidence behind it."""

    def both(cells):
        table = arms(cells)
        return table, evidence(tried(cells), "variant", table)

    return both


@pytest.fixture
def results():
    """Two seeds."""
    return [result(0), result(1)]


@pytest.fixture
def cells():
    """Two variants of two seeds; the second variant does not fit its training identities with seed 1."""
    return [
        cell("vanilla", 0, 0.96),
        cell("vanilla", 1, 0.98, 0.5),
        cell("spatial", 0, 0.97),
        cell("spatial", 1, 0.31, 0.3),
    ]


@pytest.fixture
def domains():
    """How far apart the data sets are; each pair stands once."""
    return {
        "accuracy": {
            "campus": {"winter": 0.9, "station": 0.6, "unreal": 0.75},
            "winter": {"station": 0.7, "unreal": 0.8},
            "station": {"unreal": 0.65},
        },
        "standard_error": {
            "campus": {"winter": 0.01, "station": 0.06, "unreal": 0.05},
            "winter": {"station": 0.04, "unreal": 0.03},
            "station": {"unreal": 0.02},
        },
    }


@pytest.fixture
def found(domains, asked, cross, ablated):
    """Results and cells -> what the page tells of."""

    def findings(results, cells):
        (table, known), (arms, arms_known) = cross(results), ablated(cells)
        return Findings(
            protocol=results[0]["protocol"],
            targets=TARGETS,
            synthetic="unreal",
            cross=table,
            cross_queries=asked(results),
            cross_known=known,
            arms=arms,
            arms_known=arms_known,
            source="campus",
            reused=sorted({cell["variant"] for cell in cells if cell["reuses"]}),
            fitted=0.95,
            domains=domains,
        )

    return findings


def jpeg(count, level=120):
    content = io.BytesIO()
    Image.new("RGB", (4 * count, 8), (level, 60, 60)).save(content, "JPEG")
    return content.getvalue()


def attention():
    """Two tracklets of a clip of two frames: "vanilla" looks at the visible one, "spatial" at both alike."""
    rows = []
    for variant, weights, token in (("vanilla", (0.6, 0.2), 0.2), ("spatial", (0.45, 0.45), 0.1)):
        for tracklet in (7, 8):
            for place, weight in enumerate(weights):
                columns = {
                    "tracklet": tracklet,
                    "identity": 30 + tracklet,
                    "place": place,
                    "clip": 0,
                    "times": 1,
                }
                values = {
                    "weight": weight,
                    "heads": [weight / 2, weight * 1.5],
                    "token": token,
                    "entropy": 0.9,
                }
                rows.append(
                    {"variant": variant, **columns, **values, "visibility": 1.0 - 0.6 * place, "seed": 0}
                )
    return pd.DataFrame(rows)


def strip(dataset, tracklet, clip, frames, kind):
    place = {
        "dataset": dataset,
        "tracklet": tracklet,
        "clip": clip,
        "frames": frames,
        "width": 4,
        "height": 8,
    }
    return place | {"jpeg": jpeg(frames, 10 * tracklet), "kind": kind, "seed": 0}


def answers(dataset):
    """Query 1 finds tracklets 2 and 3, wrong ones, and at rank 9 the right tracklet 4."""
    query = {
        "query_identity": 5,
        "query_camera": 2,
        "query_ap": 1 / 9,
        "query_first_hit": 9,
        "query_length": 6,
    }
    rest = {"query": 1, "query_visibility": 0.5, "kind": "hardest", "dataset": dataset, "seed": 0}
    return [
        {
            "tracklet": t,
            "identity": i,
            "camera": 3,
            "rank": r,
            "distance": r / 10,
            "right": i == 5,
            **query,
            **rest,
        }
        for t, i, r in ((2, 6, 1), (3, 7, 2), (4, 5, 9))
    ]


@pytest.fixture
def pictures():
    """What the stage picture gives, small enough to be read."""
    patches = [
        {
            "variant": v,
            "tracklet": t,
            "place": p,
            "row": r,
            "column": c,
            "weight": (0.6 if r == c == 0 else 0.1),
        }
        for v in ("vanilla", "spatial")
        for t in (7, 8)
        for p in range(2)
        for r in range(2)
        for c in range(2)
    ]
    maps = [
        {
            "model": m,
            "dataset": d,
            "tracklet": t,
            "identity": t,
            "camera": 1,
            "x": t / 3 - 1,
            "y": 0.5,
            "own": 0.25,
        }
        for m in ("unreal", "campus")
        for d in (*TARGETS, "unreal")
        for t in range(3)
    ]
    clips = [strip("campus", t, 0, 2, "clip") for t in (8, 7)]
    films = [strip(d, t, -1, 2, "list") for d in TARGETS for t in (1, 2, 3, 4)]
    return Pictures(
        left="vanilla",
        right="spatial",
        frames=attention(),
        patches=pd.DataFrame(patches),
        lists=pd.DataFrame([row for dataset in TARGETS for row in answers(dataset)]),
        maps=pd.DataFrame(maps),
        strips=pd.DataFrame(clips + films),
    )


@pytest.fixture
def histories():
    """Training histories of two runs and two arms, looked at twice; the CNN has no attention."""

    def history(entropy):
        table = pd.DataFrame({"step": np.arange(1, 11), "loss": np.linspace(9, 3, 10)})
        for column, values in (("train_rank1", (0.5, 0.9)), ("validation_rank1", (0.3, 0.6))):
            table[column] = np.nan
            table.loc[[4, 9], column] = values
        if entropy:
            table["attention_entropy"] = np.nan
            table.loc[[4, 9], "attention_entropy"] = (1.2, 1.4)
        return table

    named = ("unreal-0", "campus-0", "ablation-vanilla-0", "ablation-cnn-0")
    return {name: history("cnn" not in name) for name in named}


CLAIMS = "# The paper's claims\n\n1 of 5 seeds (0).\n\n## Answers\n\nBy rank-1.\n\n## Effects\n\nmany\n"
BUILT = []


@pytest.fixture
def whole(request):
    """The page of two seeds, drawn once."""
    if not BUILT:
        names = ("found", "results", "cells", "histories", "pictures")
        found, results, cells, histories, pictures = map(request.getfixturevalue, names)
        BUILT.append(site(found(results, cells), histories, pictures, CLAIMS))
    return BUILT[0]
