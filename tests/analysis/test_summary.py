"""The summary holds few numbers, means checked by hand, and never a mean over several protocols."""

import pytest

from sttreid.analysis.summary import summary
from tests.analysis.contents import cross_domain, cross_domain_content


def test_means_are_over_cells_and_seeds():
    one = summary(cross_domain([cross_domain_content(0)]))
    assert one == pytest.approx(
        {
            "rank1_in": 0.5,
            "rank1_cross": 0.3,
            "rank1_direct": 0.2,
            "mAP_in": 0.25,
        }
    )


def test_several_seeds_add_their_standard_deviation():
    three = summary(cross_domain([cross_domain_content(seed) for seed in range(3)]))
    assert three["rank1_in"] == pytest.approx(0.6)
    assert three["rank1_in_sd"] == pytest.approx(0.1)  # 0.5, 0.6, 0.7
    assert len(three) == 5


def test_one_target_has_no_cross_domain_mean():
    found = summary(cross_domain([cross_domain_content(0)], ["winter"]))
    assert set(found) == {"rank1_in", "rank1_direct", "mAP_in"}


def test_a_mean_never_mixes_protocols():
    content = cross_domain_content(0)
    content["protocol"]["winter"]["name"] = "mars-official"
    for source in content["sources"].values():
        source["winter"]["rank1"] += 0.1  # 20 of its 200 queries
    found = summary(cross_domain([content]))
    assert set(found) == {"embedded", "mars-official"}
    assert found["embedded"] == pytest.approx({"rank1_in": 0.5, "rank1_direct": 0.2})
    assert found["mars-official"] == pytest.approx({"rank1_in": 0.6, "rank1_direct": 0.3})
