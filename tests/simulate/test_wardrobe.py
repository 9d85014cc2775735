from dataclasses import fields, replace

import numpy as np
import pytest

from sttreid.config.domain import Clothing, Domain, Hair, Skin
from sttreid.simulate.appearance import Arm
from sttreid.simulate.colours import HAIR_TONES, SKIN_TONES, beside_skin
from sttreid.simulate.wardrobe import look, weighted


def test_every_tone_that_a_domain_may_weigh_has_a_colour() -> None:
    assert [field.name for field in fields(Skin)] == list(SKIN_TONES)
    assert [field.name for field in fields(Hair)] == list(HAIR_TONES)


def test_names_are_drawn_in_proportion_to_their_weights() -> None:
    rng = np.random.default_rng(0)
    drawn = [weighted(rng, Skin(0, 0, 3, 0, 1, 0, 0)) for _ in range(2000)]
    assert set(drawn) == {"light", "brown"}
    assert drawn.count("light") / 2000 == pytest.approx(0.75, abs=0.03)


def test_no_garment_has_the_colour_of_its_wearers_skin(domain: Domain) -> None:
    for identity in range(1, 200):
        someone = look(identity, "a", domain, 0)
        for colour in (someone.top.colour, someone.bottom.colour, someone.top.inner, someone.head.hat_colour):
            assert not beside_skin(colour, someone.physique.skin)


def test_no_pattern_looks_like_skin_from_afar(domain: Domain) -> None:
    for identity in range(1, 200):
        someone = look(identity, "a", domain, 0)
        for cloth in (someone.top, someone.bottom):
            assert not beside_skin((cloth.colour + cloth.second) / 2, someone.physique.skin)


def test_people_walk_differently_and_within_human_limits(domain: Domain) -> None:
    walks = [look(identity, "a", domain, 0).walk for identity in range(1, 101)]
    for name, low, high in (
        ("stride", 0.85, 1.7),
        ("cadence", 0.7, 1.2),
        ("swing", 0.0, 0.75),
        ("hunch", -0.15, 0.35),
        ("lean", -0.1, 0.2),
        ("toe_out", -0.1, 0.35),
    ):
        values = np.array([getattr(walk, name) for walk in walks])
        assert low <= values.min() < values.max() <= high
        assert np.ptp(values) > 0.5 * (high - low)
    for name in ("uneven_step", "uneven_toes", "uneven_arms"):
        values = np.array([getattr(walk, name) for walk in walks])
        assert abs(values.mean()) < 0.5 * values.std()


def test_a_beige_pullover_is_beside_light_skin_and_white_is_not() -> None:
    skin = SKIN_TONES["light"]
    assert beside_skin(np.array([0.70, 0.52, 0.42], np.float32), skin)
    assert not beside_skin(np.array([0.9, 0.9, 0.9], np.float32), skin)
    assert not beside_skin(np.array([0.06, 0.045, 0.035], np.float32), skin)


def test_twins_wear_one_top_and_are_two_people(domain: Domain) -> None:
    always = replace(domain, clothing=replace(domain.clothing, twins=1.0))
    for identity in range(2, 40, 2):
        first, second = look(identity - 1, "a", always, 0), look(identity, "a", always, 0)
        assert np.array_equal(first.top.colour, second.top.colour)
        assert first.top.pattern == second.top.pattern
        assert np.array_equal(first.physique.skin, second.physique.skin)
        assert first.physique.height != second.physique.height
        assert first.walk.cadence != second.walk.cadence


def test_without_twins_neighbours_differ(domain: Domain) -> None:
    never = replace(domain, clothing=replace(domain.clothing, twins=0.0))
    tops = {look(identity, "a", never, 0).top.thickness for identity in range(1, 21)}
    assert len(tops) == 20


def test_what_is_certain_happens_and_what_is_impossible_does_not(domain: Domain) -> None:
    everything = replace(domain, clothing=Clothing(*[1.0] * 15))
    nothing = replace(domain, clothing=Clothing(*[0.0] * 15))
    for identity in range(1, 20):
        dressed, plain = look(identity, "a", everything, 0), look(identity, "a", nothing, 0)
        assert dressed.carried.backpack
        assert dressed.head.hat
        assert dressed.top.coat < 1
        assert dressed.bottom.skirt != dressed.physique.male
        assert Arm.CARRIES in (dressed.walk.left, dressed.walk.right)
        assert not any((plain.carried.backpack, plain.head.hat, plain.top.coat < 1, plain.bottom.skirt))
