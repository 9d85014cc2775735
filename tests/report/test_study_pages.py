"""The page of answers as text: the Markdown page's words, its charts, whole and the same each time."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from sttreid.report.arms import study
from sttreid.report.claims import findings
from sttreid.report.claims_page import page
from sttreid.report.claims_site import site
from tests.report.studies import CLAIMS, PROTOCOL, TARGETS, history, pages, runs
from tests.report.test_site import Page


def test_every_part_of_the_markdown_page_is_a_section(told):
    text, html = told
    headings = [words for tag, words in Page(html).headings if tag == "h2"]
    assert headings == [line[3:] for line in text.splitlines() if line.startswith("## ")]
    levels = [int(tag[1]) for tag, _ in Page(html).headings]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_chart_is_one_picture_with_words_and_says_where_it_comes_from(told):
    _, html = told
    parsed = Page(html)
    charts = [one for one in parsed.of("svg") if one.get("role") == "img"]
    titles = [words for tag, words in parsed.headings if tag == "h3"]
    assert titles == [
        "R-1: first arm less second",
        "mAP: first arm less second",
        "Convergence on validation identities",
        "Training loss, means over seeds",
        "Rank-1 in training, means over seeds",
        "Attention entropy in training, means over seeds",
        "By how much of the person is seen",
        "By the query's length (frames)",
        "By the least turn to a right answer (degrees)",
    ]
    assert len(charts) == len(titles)
    assert all(len(one["aria-label"]) > 40 for one in charts)
    assert html.count("Protocol embedded; seeds 0, 1, 2; queries: 86 here, 86 there.") == 5


def test_an_effect_in_a_chart_is_that_of_the_table(told):
    text, html = told
    row = next(
        line for line in text.splitlines() if line.startswith("| RQ2 | new against old | in-domain | R-1 |")
    )
    effect = row.split("|")[7].strip().lstrip("+")
    label = next(
        one["aria-label"] for one in Page(html).of("svg") if "first arm less second" in one["aria-label"]
    )
    assert f"new / old, in-domain: {effect};" in label


def test_the_page_is_the_same_each_time_and_asks_for_nothing(told):
    _, one = told
    assert pages() == told
    parsed = Page(one)
    assert not parsed.of("script")
    assert all(link["href"].startswith(("#", "data:")) for link in (*parsed.of("a"), *parsed.of("link")))
    assert "NaN" not in one


def test_without_queries_of_a_kind_there_is_no_chart_of_them(told):
    bare = [
        replace(
            run,
            train_rank1=0.95,
            history=history([0.2]),
            queries=run.queries.assign(turn=np.nan),
        )
        for run in (*runs("new", 0.7), *runs("old", 0.4))
    ]
    found = study(bare, "here", TARGETS, 0.9)
    judged = findings(found, CLAIMS)
    html = site(page(found, judged, CLAIMS, PROTOCOL), found, judged, CLAIMS, PROTOCOL)
    assert "least turn" not in html
    assert "Attention entropy" not in html
