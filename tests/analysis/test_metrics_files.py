"""Metrics files: means checked by hand, one for each protocol; what other parameters made leaves them."""

import io

import pandas as pd
import pytest

from sttreid.analysis import results
from sttreid.analysis.metrics_files import (
    ablation_metrics,
    credit,
    cross_domain_metrics,
    fresh_entries,
    fresh_rows,
    marked,
)
from sttreid.retrieval.metrics import HEADLINE
from tests.analysis.contents import (
    PROTOCOL,
    TARGETS,
    ablated,
    cross_domain,
    cross_domain_content,
)

MADE_BY = {"vanilla": "f1", "spatial": "f2", "full": "f3"}


@pytest.fixture
def contents():
    """Cross-domain results of two seeds."""
    return [cross_domain_content(0), cross_domain_content(1)]


@pytest.fixture
def of_two_protocols(contents):
    """The same; winter follows another protocol, and its rank-1 is 0.1 higher."""
    for content in contents:
        content["protocol"]["winter"] = PROTOCOL | {"name": "market"}
        for source in content["sources"].values():
            source["winter"]["rank1"] += 0.1  # a whole number of its queries
    return contents


def test_cross_domain_metrics_are_means_over_cells_and_seeds(contents):
    content = cross_domain_metrics(cross_domain(contents), "f1")
    expected = {"in_domain": 0.55, "cross_domain": 0.35, "direct_transfer": 0.25, "untrained": 0.04}
    expected |= {"histogram": 0.25, "equalised": 0.5, "cross_domain_drop": 0.2}
    assert {name: content["rank1"][name] for name in expected} == expected
    assert content["rank1"]["winter"] == {"campus": 0.35, "winter": 0.55, "station": 0.35}
    assert set(content["mAP"]) == {*expected, *TARGETS, "unreal"}
    assert content["interval"]["mAP"]["in_domain"] == {"low": 0.25, "high": 0.3}
    assert set(content["interval"]) == {metric.name for metric in HEADLINE}
    assert (content["seeds"], content["protocol"]) == (2, dict.fromkeys(TARGETS, "embedded"))
    assert content["queries"] == {"campus": 100, "winter": 200, "station": 300}
    assert content["junk"] == {"campus": 0, "winter": 5, "station": 10}


def test_one_target_has_no_drop(contents):
    content = cross_domain_metrics(cross_domain(contents, ["winter"]), "f1")
    assert "cross_domain" not in content["rank1"]
    assert "cross_domain_drop" not in content["rank1"]


def test_ablation_metrics_have_an_entry_for_each_variant(contents):
    scores, variants = ablated(contents)
    content = ablation_metrics(scores, variants, MADE_BY)
    assert content["vanilla"]["rank1_in_domain"] == 0.45
    assert content["vanilla"]["mAP_cross_domain"] == 0.15
    assert content["vanilla"]["interval"]["mAP_in_domain"] == {"low": 0.2, "high": 0.25}
    assert (content["vanilla"]["comparable"], content["spatial"]["comparable"]) == (1, 0)
    assert content["full"]["rank1_in_domain"] == 0.55
    assert content["full"]["train_rank1"] == 0.96


def test_a_mean_never_mixes_protocols(of_two_protocols):
    content = cross_domain_metrics(cross_domain(of_two_protocols), "f1")
    expected = {"in_domain": (0.55, 0.65), "cross_domain": (0.35, 0.45), "direct_transfer": (0.25, 0.35)}
    for setting, (embedded, market) in expected.items():
        assert content["rank1"][setting] == {"embedded": embedded, "market": market}
        assert set(content["interval"]["rank1"][setting]) == {"embedded", "market"}
    assert content["rank1"]["cross_domain_drop"] == {"embedded": 0.2, "market": 0.2}
    assert content["rank1"]["winter"]["winter"] == 0.65


def test_the_files_name_the_parameters_that_made_them(contents):
    assert cross_domain_metrics(cross_domain(contents), "f1")["params"] == "f1"
    content = ablation_metrics(*ablated(contents), MADE_BY)
    assert {name: content[name]["params"] for name in MADE_BY} == MADE_BY


def test_only_the_variants_of_other_parameters_leave_the_metrics(contents):
    content = ablation_metrics(*ablated(contents), MADE_BY)
    current = MADE_BY | {"spatial": "other", "new": "f4"}
    assert content.keys() - fresh_entries(content, current).keys() == {"spatial"}
    assert fresh_entries(content, MADE_BY) == content
    del content["vanilla"]["params"]  # a file of an earlier version
    assert "vanilla" not in fresh_entries(content, MADE_BY)


def test_only_the_variants_of_other_parameters_leave_the_plot_table(contents):
    table = results.variant_means(ablated(contents)[0])
    text = results.tsv(table.assign(params=table["variant"].map(MADE_BY)))
    assert fresh_rows(text, MADE_BY) == text
    left = pd.read_csv(io.StringIO(fresh_rows(text, MADE_BY | {"spatial": "other"})), sep="\t")
    assert left["variant"].tolist() == ["vanilla", "full"]
    assert left["rank1_in_domain"].tolist() == pytest.approx([0.45, 0.55])
    without = {name: made for name, made in MADE_BY.items() if name != "full"}  # no longer a variant
    assert "full" not in fresh_rows(text, without)


def test_a_stale_plot_table_keeps_its_header(contents):
    table = results.variant_means(ablated(contents)[0])
    earlier = fresh_rows(results.tsv(table), MADE_BY)  # without a fingerprint
    assert earlier == "\t".join(table.columns) + "\n"


def test_digits_alone_are_a_fingerprint():
    text = "variant\trank1\tparams\n1\t0.5\t0012345678\n"
    assert fresh_rows(text, {"1": "0012345678"}) == text


def test_a_page_of_other_parameters_gets_one_notice_and_loses_it_again():
    page = f"# Title\n\n{credit('f1')}\n"
    stale = marked(page, "f2")
    assert stale != page
    assert stale.endswith(page)
    assert marked(stale, "f3") == stale
    assert marked(stale, "f1") == page == marked(page, "f1")
