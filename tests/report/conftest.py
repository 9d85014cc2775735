"""Results as the stages write them, with numbers that are easy to check, and the report of them."""

import io
from dataclasses import replace

import pandas as pd
import pytest
from PIL import Image

from sttreid.report.filmstrips import Visuals
from sttreid.report.page import Results, report
from sttreid.report.render import html
from sttreid.runtime.provenance import Machine
from tests.analysis.contents import (
    TARGETS,
    ablated,
    cross_domain,
    cross_domain_content,
    history,
)


def two_seeds():
    """Cross-domain results of two seeds."""
    return [cross_domain_content(0), cross_domain_content(1)]


def separability():
    """Content of metrics/domains.json: each pair once."""
    accuracy = {
        "campus": {"winter": 0.9, "station": 0.6, "unreal": 0.75},
        "winter": {"station": 0.7, "unreal": 0.8},
        "station": {"unreal": 0.65},
    }
    return {"accuracy": accuracy, "standard_error": {k: dict.fromkeys(v, 0.01) for k, v in accuracy.items()}}


def jpeg(count, level=120, stacked=False):
    content, size = io.BytesIO(), (16, 32 * count) if stacked else (16 * count, 32)
    Image.new("RGB", size, (level, 60, 60)).save(content, "JPEG")
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
    content = jpeg(2, 10 * tracklet, stacked=kind == "list")
    return place | {"jpeg": content, "kind": kind, "seed": 0}


def ranked_list(dataset):
    """Query 1 finds the wrong tracklets 2 and 3, and at rank 9 the correct tracklet 4."""
    facts = {"identity": 5, "camera": 2, "ap": 1 / 9, "first_hit": 9, "length": 6, "visibility": 0.5}
    query = {f"query_{name}": value for name, value in facts.items()}
    query |= {"query": 1, "kind": "failure", "dataset": dataset, "seed": 0, "camera": 3}
    return [
        {"tracklet": t, "identity": i, "rank": r, "distance": r / 10, "correct": i == 5, **query}
        for t, i, r in ((2, 6, 1), (3, 7, 2), (4, 5, 9))
    ]


def small_visuals():
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
            "hit": 0.5,
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


def film(dataset, tracklet, clip, kind, frames):
    """A strip of frames of 32 x 64 pixels."""
    size = (32, 64 * frames) if kind == "list" else (32 * frames, 64)
    content = io.BytesIO()
    Image.new("RGB", size, (90, 20 * tracklet, 60)).save(content, "JPEG")
    place = {"dataset": dataset, "tracklet": tracklet, "clip": clip, "frames": frames, "width": 32}
    return place | {"height": 64, "jpeg": content.getvalue(), "kind": kind, "seed": 0}


def many_visuals():
    """The tables of the stage visualise, as large as those of the default run."""
    names, tracklets, places = ("vanilla", "spatial"), range(1, 7), range(12)
    numbers = {"times": 1, "weight": 0.2, "heads": [0.2] * 4, "token": 0.2, "entropy": 0.9, "seed": 0}
    frames = [
        {"variant": v, "tracklet": t, "identity": t, "place": p, "clip": p // 4, "visibility": 0.9, **numbers}
        for v in names
        for t in tracklets
        for p in places
    ]
    patches = [
        {"variant": v, "tracklet": t, "place": p, "row": r, "column": c, "weight": 0.03}
        for v in names
        for t in tracklets
        for p in places
        for r in range(8)
        for c in range(4)
    ]
    lists = [
        {**row, "query": query, "kind": kind, "tracklet": place, "rank": rank, "correct": place == 10}
        for dataset in TARGETS
        for kind, queries in (("failure", range(1, 5)), ("success", range(5, 9)))
        for query in queries
        for row in ranked_list(dataset)[:1]
        for place, rank in enumerate([*range(1, 10), 12], start=1)
    ]
    strips = [film("campus", t, clip, "clip", 4) for t in tracklets for clip in range(3)]
    strips += [film(dataset, t, -1, "list", 2) for dataset in TARGETS for t in range(1, 11)]
    tables = {"frames": frames, "patches": patches, "lists": lists, "strips": strips}
    return replace(small_visuals(), **{name: pd.DataFrame(rows) for name, rows in tables.items()})


CLAIMS = {
    "seeds": 2,
    "source": "campus",
    "protocol": {"campus": "embedded"},
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


# As an early publication: without what is compared, and with a former name of a setting.
PUBLISHED = {
    "seeds": 5,
    "source": "campus",
    "trained_on": "campus",
    "publication": {"study": "claims", "folder": "metrics/claims", "commit": "0123456789"},
    "questions": {
        "RQ2": {
            "paper": "50.6 → 60.5",
            "read_in": "a summary",
            "verdict": {"in_domain": "not supported", "cross_domain_more": "inconclusive"},
        }
    },
    "contrasts": {
        "spatial-vanilla": {
            "question": "RQ2",
            "in_domain": {"rank1": {"effect": 0.02, "low": 0.01, "high": 0.03, "verdict": "not supported"}},
        },
        "forgotten": {"question": "RQ2", "in_domain": {"rank1": {"effect": 0.5, "low": 0.4, "high": 0.6}}},
    },
}

MACHINE = Machine("3", {"torch": "2"}, "Some processor", "AVX2", "native", None, 1, "native")


contents = pytest.fixture(two_seeds)
domains = pytest.fixture(separability)
visuals = pytest.fixture(small_visuals)


@pytest.fixture(scope="session")
def results():
    """Two seeds; spatial does not fit its training identities with the second one.

    All tests share them: one that changes something changes a copy.
    """
    contents = two_seeds()
    ablation, variants = ablated(contents)
    return Results(
        cross=cross_domain(contents),
        ablation=ablation,
        variants=variants,
        source="campus",
        synthetic="unreal",
        reference="full",
        min_train_rank1=0.95,
        runs={name: [history(), history()] for name in ("unreal", *TARGETS)},
        histories={
            "vanilla": [history(), history()],
            "spatial": [history(0.97, False), history(0.31, False)],
        },
        domains=separability(),
        claims=CLAIMS,
        published_claims=[PUBLISHED],
        published_seeds=None,
        visuals=small_visuals(),
        machines=[MACHINE, replace(MACHINE, processor="Other <2>"), MACHINE],
    )


@pytest.fixture(scope="session")
def page(results):
    """The report of these results."""
    return report(results)


@pytest.fixture(scope="session")
def whole(page):
    """Its HTML."""
    return html(page)


@pytest.fixture(scope="session")
def large(results):
    """The HTML of a page with as much to show as that of the default run."""
    return html(report(replace(results, visuals=many_visuals())))
