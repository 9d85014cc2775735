from dataclasses import fields, replace

import numpy as np

from sttreid.config.domain import Clothing, Domain, Hair, Skin
from sttreid.simulate.appearance import ArmPose
from sttreid.simulate.wardrobe import HAIR_TONES, SKIN_TONES, draw_appearance, resembles_skin


def test_every_weighted_tone_has_a_colour() -> None:
    assert [field.name for field in fields(Skin)] == list(SKIN_TONES)
    assert [field.name for field in fields(Hair)] == list(HAIR_TONES)


def test_no_garment_has_the_colour_of_its_wearers_skin(domain: Domain) -> None:
    for identity in range(1, 200):
        appearance = draw_appearance(identity, "a", domain, 0)
        top, bottom, head = appearance.top, appearance.bottom, appearance.head
        for colour in (top.colour, bottom.colour, top.inner, head.hat_colour):
            assert not resembles_skin(colour, appearance.physique.skin)


def test_no_pattern_looks_like_skin_from_afar(domain: Domain) -> None:
    for identity in range(1, 200):
        appearance = draw_appearance(identity, "a", domain, 0)
        for cloth in (appearance.top, appearance.bottom):
            assert not resembles_skin((cloth.colour + cloth.second) / 2, appearance.physique.skin)


def test_gaits_vary_within_human_limits(domain: Domain) -> None:
    walks = [draw_appearance(identity, "a", domain, 0).gait for identity in range(1, 101)]
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


def test_beige_cloth_resembles_light_skin_and_white_does_not() -> None:
    skin = SKIN_TONES["light"]
    assert resembles_skin(np.array([0.70, 0.52, 0.42], np.float32), skin)
    assert not resembles_skin(np.array([0.9, 0.9, 0.9], np.float32), skin)
    assert not resembles_skin(np.array([0.06, 0.045, 0.035], np.float32), skin)


def test_look_alikes_are_two_persons_in_one_top(domain: Domain) -> None:
    always = replace(domain, clothing=replace(domain.clothing, look_alikes=1.0))
    for identity in range(2, 40, 2):
        first, second = (
            draw_appearance(identity - 1, "a", always, 0),
            draw_appearance(identity, "a", always, 0),
        )
        assert np.array_equal(first.top.colour, second.top.colour)
        assert first.top.pattern == second.top.pattern
        assert np.array_equal(first.physique.skin, second.physique.skin)
        assert first.physique.height != second.physique.height
        assert first.gait.cadence != second.gait.cadence


def test_without_look_alikes_tops_differ(domain: Domain) -> None:
    never = replace(domain, clothing=replace(domain.clothing, look_alikes=0.0))
    tops = {draw_appearance(identity, "a", never, 0).top.thickness for identity in range(1, 21)}
    assert len(tops) == 20


def test_what_is_certain_happens_and_what_is_impossible_does_not(domain: Domain) -> None:
    everything = replace(domain, clothing=Clothing(*[1.0] * 15))
    nothing = replace(domain, clothing=Clothing(*[0.0] * 15))
    for identity in range(1, 20):
        dressed, plain = (
            draw_appearance(identity, "a", everything, 0),
            draw_appearance(identity, "a", nothing, 0),
        )
        assert dressed.carried.backpack
        assert dressed.head.hat
        assert dressed.top.coat < 1
        assert dressed.bottom.skirt != dressed.physique.male
        assert ArmPose.CARRIES in (dressed.gait.left, dressed.gait.right)
        assert not any((plain.carried.backpack, plain.head.hat, plain.top.coat < 1, plain.bottom.skirt))


def test_another_domain_may_dress_the_same_people(domain: Domain) -> None:
    same = replace(domain, same_people_as="a")
    winter = replace(same, clothing=replace(domain.clothing, coat=1.0))
    for identity in range(1, 30):
        person = draw_appearance(identity, "a", domain, 0)
        np.testing.assert_equal(vars(draw_appearance(identity, "b", same, 0).top), vars(person.top))
        np.testing.assert_equal(
            vars(draw_appearance(identity, "b", winter, 0).physique), vars(person.physique)
        )
    other = [draw_appearance(identity, "b", domain, 0).physique.height for identity in range(1, 30)]
    assert other != [draw_appearance(identity, "a", domain, 0).physique.height for identity in range(1, 30)]
