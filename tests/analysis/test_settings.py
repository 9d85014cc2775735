"""Names of means over targets, one for each protocol."""

from sttreid.analysis.settings import means_of, ordered, setting_of, spelled, targets_by_protocol

PROTOCOLS = {"mars": "mars-official", "campus": "embedded", "winter": "embedded"}


def test_targets_of_one_protocol_have_one_mean_with_the_setting_s_name() -> None:
    assert means_of("cross_domain", ["winter", "campus"], PROTOCOLS) == {"cross_domain": ["winter", "campus"]}
    assert means_of("cross_domain", [], PROTOCOLS) == {}


def test_targets_of_several_protocols_have_a_mean_for_each() -> None:
    found = means_of("cross_domain", PROTOCOLS, PROTOCOLS)
    assert list(found.values()) == list(targets_by_protocol(PROTOCOLS, PROTOCOLS).values())
    assert found == {"cross_domain mars-official": ["mars"], "cross_domain embedded": ["campus", "winter"]}
    assert {setting_of(name) for name in found} == {"cross_domain"}


def test_means_follow_the_order_of_their_settings_and_others_are_left_out() -> None:
    names = ["gap", "cross_domain b", "in_domain", "cross_domain a", "in_domain"]
    assert ordered(names, ["in_domain", "cross_domain"]) == ["in_domain", "cross_domain b", "cross_domain a"]


def test_a_mean_in_words_has_its_protocol() -> None:
    words = {"in_domain": "in-domain"}
    assert spelled("in_domain", words) == "in-domain"
    assert {"in-domain", "market"} <= set(spelled("in_domain market", words).replace(",", "").split())
    assert spelled("campus->winter", words) == "campus->winter"
