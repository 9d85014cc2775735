"""Results as the stages write them, with numbers that are easy to check, and the report of them."""

import io
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sttreid.report import results as loading
from sttreid.report.filmstrips import Visuals
from sttreid.report.page import Results, report
from sttreid.report.render import html
from sttreid.retrieval.protocol import Protocol

TARGETS = ["campus", "winter", "station"]
QUERIES = {"campus": 100, "winter": 200, "station": 300}  # so that rank-1 is a whole number of queries
PER_IDENTITY = 5
PROTOCOL = asdict(
    Protocol(
        name="embedded",
        source="Made for these tests.",
        gallery="all",
        excluded="same identity and camera",
        average_precision="non-interpolated",
        unmatched="drop",
        ties="pessimistic",
    )
)


def numbers(rank1, target):
    """A model on a target: mAP is half of rank-1, counts depend on the target alone."""
    place = TARGETS.index(target)
    rates = {
        "rank1": rank1,
        "rank5": rank1,
        "rank10": 1.0,
        "rank20": 1.0,
        "mAP": rank1 / 2,
        "mINP": rank1 / 4,
    }
    counts = {"queries": QUERIES[target], "unmatched": place, "gallery": 120 + 2 * place}
    return rates | counts | {"distractors": 20 + place, "left_out": 3 * place, "junk": 5 * place}


def cross_domain_content(seed):
    """Rank-1 of seed 0: 0.5 in-domain, 0.3 cross-domain, 0.2 direct; a seed adds 0.1 to what is trained."""
    gain = seed / 10
    sources = {s: {t: numbers((0.5 if s == t else 0.3) + gain, t) for t in TARGETS} for s in TARGETS}
    sources["unreal"] = {t: numbers(0.2 + gain, t) for t in TARGETS}
    for baseline, rank1 in (("untrained", 0.04), ("histogram", 0.25), ("equalised", 0.5)):
        sources[baseline] = {t: numbers(rank1, t) for t in TARGETS}
    return {"protocol": {t: dict(PROTOCOL) for t in TARGETS}, "seed": seed, "sources": sources}


def ablation_content(seed):
    """Rank-1 0.4 and 0.3 on campus, cross-domain 0.1 and 0.2 lower; a seed adds 0.1 to vanilla."""
    variants = {}
    for name, rank1 in (("vanilla", 0.4 + seed / 10), ("spatial", 0.3)):
        trained = {t: numbers(rank1 - 0.1 * place, t) for place, t in enumerate(TARGETS)}
        made = {"source": "campus", "composition": ["ST + TT", name], "pretrain_steps": 0, "steps": 10}
        variants[name] = made | {"moments": {"trained": trained}}
    return {"protocol": {t: dict(PROTOCOL) for t in TARGETS}, "seed": seed, "variants": variants}


def per_query(content, target, **columns):
    """The queries of :func:`numbers`: the first ones are matched at rank 1, the others at rank 7.

    All have the AP of the mean, so that only seeds spread the mAP. Unmatched ones come last. Later
    queries are less visible and longer.
    """
    counted, unmatched = content["queries"], content["unmatched"]
    query = np.arange(counted + unmatched)
    matched = query < counted
    hit = np.where(query < round(content["rank1"] * counted), 1, 7)
    return pd.DataFrame(
        {
            "query": query,
            "identity": 10 + query // PER_IDENTITY,
            "first_hit": np.where(matched, hit, 0),
            "ap": np.where(matched, content["mAP"], np.nan),
            "inp": np.where(matched, content["mINP"], np.nan),
            "length": 10 + query // PER_IDENTITY,
            "visibility": 1 - query / len(query),
            "target": target,
            **columns,
        }
    )


def cross_domain_queries(contents):
    """The per-query results of cross-domain results."""
    tables = [
        per_query(numbers_, target, source=source, seed=content["seed"])
        for content in contents
        for source, targets in content["sources"].items()
        for target, numbers_ in targets.items()
    ]
    return pd.concat(tables, ignore_index=True)


def ablation_queries(contents):
    """The per-query results of ablation results."""
    tables = [
        per_query(numbers_, target, variant=name, moment=moment, seed=content["seed"])
        for content in contents
        for name, made in content["variants"].items()
        for moment, targets in made["moments"].items()
        for target, numbers_ in targets.items()
    ]
    return pd.concat(tables, ignore_index=True)


def cross_domain(contents, targets=TARGETS):
    """Scores of cross-domain results."""
    return loading.cross_domain(contents, cross_domain_queries(contents), targets, "unreal")


def ablation(contents, cross, reference="full"):
    """Scores of ablation results."""
    names = list(contents[0]["variants"])
    return loading.ablation(contents, ablation_queries(contents), names, "campus", cross, reference)


def history(train=0.96, entropy=True):
    """Ten steps, evaluated at the fifth and the last."""
    table = pd.DataFrame({"step": np.arange(1, 11), "loss": np.linspace(9, 3, 10)})
    columns = {"train_rank1": (0.5, train), "validation_rank1": (0.3, train / 2)}
    for column, values in (columns | ({"attention_entropy": (1.2, 1.4)} if entropy else {})).items():
        table[column] = np.nan
        table.loc[[4, 9], column] = values
    return table


@pytest.fixture
def contents():
    """Cross-domain results of two seeds."""
    return [cross_domain_content(0), cross_domain_content(1)]


@pytest.fixture
def domains():
    """Content of metrics/domains.json: each pair once."""
    accuracy = {
        "campus": {"winter": 0.9, "station": 0.6, "unreal": 0.75},
        "winter": {"station": 0.7, "unreal": 0.8},
        "station": {"unreal": 0.65},
    }
    return {"accuracy": accuracy, "standard_error": {k: dict.fromkeys(v, 0.01) for k, v in accuracy.items()}}


def jpeg(count, level=120):
    content = io.BytesIO()
    Image.new("RGB", (16 * count, 32), (level, 60, 60)).save(content, "JPEG")
    return content.getvalue()


def attention():
    """Two tracklets of one clip of two frames: vanilla attends to the visible one, spatial to both alike."""
    rows = []
    for variant, weights, token in (("vanilla", (0.6, 0.2), 0.2), ("spatial", (0.45, 0.45), 0.1)):
        for tracklet in (7, 8):
            for place, weight in enumerate(weights):
                frame = {
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
                    {"variant": variant, **frame, **values, "visibility": 1.0 - 0.6 * place, "seed": 0}
                )
    return pd.DataFrame(rows)


def strip(dataset, tracklet, clip, kind):
    place = {"dataset": dataset, "tracklet": tracklet, "clip": clip, "frames": 2, "width": 16, "height": 32}
    return place | {"jpeg": jpeg(2, 10 * tracklet), "kind": kind, "seed": 0}


def ranked_list(dataset):
    """Query 1 finds the wrong tracklets 2 and 3, and at rank 9 the correct tracklet 4."""
    facts = {"identity": 5, "camera": 2, "ap": 1 / 9, "first_hit": 9, "length": 6, "visibility": 0.5}
    query = {f"query_{name}": value for name, value in facts.items()}
    query |= {"query": 1, "kind": "hardest", "dataset": dataset, "seed": 0, "camera": 3}
    return [
        {"tracklet": t, "identity": i, "rank": r, "distance": r / 10, "correct": i == 5, **query}
        for t, i, r in ((2, 6, 1), (3, 7, 2), (4, 5, 9))
    ]


@pytest.fixture
def visuals():
    """The tables of the stage visualise, small."""
    patches = [
        {
            "variant": v,
            "tracklet": t,
            "place": p,
            "row": r,
            "column": c,
            "weight": 0.6 if r == c == 0 else 0.1,
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
    clips = [strip("campus", t, 0, "clip") for t in (8, 7)]
    return Visuals(
        frames=attention(),
        patches=pd.DataFrame(patches),
        lists=pd.DataFrame([row for dataset in TARGETS for row in ranked_list(dataset)]),
        maps=pd.DataFrame(maps),
        strips=pd.DataFrame(clips + [strip(d, t, -1, "list") for d in TARGETS for t in (1, 2, 3, 4)]),
    )


CLAIMS = {
    "seeds": 2,
    "min_seeds": 5,
    "questions": {
        "RQ2": {"paper": "50.6 → 60.5", "read_in": "a summary", "verdict": {"in_domain": "supported"}}
    },
    "contrasts": {
        "spatial-vanilla": {
            "question": "RQ2",
            "ours": "spatial",
            "theirs": "vanilla",
            "confirmatory": True,
            "in_domain": {"rank1": {"effect": 0.1, "low": 0.05, "high": 0.15}},
        },
        "other": {"question": "RQ2", "ours": "a", "theirs": "b", "confirmatory": False},
    },
}


@pytest.fixture
def results(contents, domains, visuals):
    """Two seeds; spatial does not fit its training identities with the second one."""
    cross = cross_domain(contents)
    ablations = [ablation_content(0), ablation_content(1)]
    histories = {"vanilla": [history(0.96), history(0.98)], "spatial": [history(0.97), history(0.31, False)]}
    runs = {name: [history(), history()] for name in ("unreal", *TARGETS)}
    made = ablations[0]["variants"] | {
        "full": {"composition": ["ST + TT"], "pretrain_steps": 900, "steps": 10}
    }
    trained = histories | {"full": runs["campus"]}
    return Results(
        cross=cross,
        ablation=ablation(ablations, cross),
        variants=[loading.variant(name, made[name], trained[name], 0.95) for name in made],
        source="campus",
        synthetic="unreal",
        reference="full",
        min_train_rank1=0.95,
        runs=runs,
        histories=histories,
        domains=domains,
        claims=CLAIMS,
        visuals=visuals,
    )


BUILT = []


@pytest.fixture
def whole(request):
    """The HTML page, drawn once."""
    if not BUILT:
        BUILT.append(html(report(request.getfixturevalue("results"))))
    return BUILT[0]
