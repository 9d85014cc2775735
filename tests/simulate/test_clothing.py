from dataclasses import replace

import numpy as np

from sttreid.config.domain import Clothing, Domain
from sttreid.simulate.appearance import Bag
from sttreid.simulate.body import JOINTS, Z_HIP, Part, body
from sttreid.simulate.clothing import figure, material
from sttreid.simulate.wardrobe import look


def test_figures_are_sound_meshes(domain: Domain) -> None:
    for identity in range(1, 13):
        person = figure(look(identity, "a", domain, 0))
        count = len(person.vertices)
        assert person.faces.min() >= 0
        assert person.faces.max() == count - 1
        assert len(person.face_parts) == len(person.faces)
        assert len(person.canonical) == len(person.limb) == len(person.weights) == count
        assert np.allclose(person.weights.sum(1), 1, atol=1e-5)
        assert person.influences.max() < len(JOINTS)
        assert np.isfinite(person.vertices).all()


def test_clothes_lie_on_the_body_and_not_far_from_it(domain: Domain) -> None:
    for identity in range(1, 9):
        person = figure(look(identity, "a", domain, 0))
        height = np.ptp(person.vertices[: len(body().rest), 2])
        assert person.look.physique.height <= height < person.look.physique.height + 0.08


def test_only_what_is_worn_counts_as_the_person(domain: Domain) -> None:
    laden = replace(domain, clothing=Clothing(*[1.0] * 15))
    person = figure(look(1, "a", laden, 0))
    worn = np.isin(np.arange(len(person.vertices)), person.person)
    for part, counts in ((Part.BAG, False), (Part.TROLLEY, False), (Part.BACKPACK, False), (Part.COAT, True)):
        corners = person.faces[person.face_parts == part]
        assert len(corners)
        assert (worn[corners] == counts).all()


def test_a_belt_is_seen_under_a_shirt_that_is_tucked_in_and_never_under_another(domain: Domain) -> None:
    own = look(1, "a", domain, 0)
    for hem, seen in ((Z_HIP + 0.1, True), (Z_HIP - 0.05, False)):
        worn = replace(own, top=replace(own.top, hem=hem), bottom=replace(own.bottom, belt=True, skirt=False))
        assert material(worn)["belt"][0] == seen


def test_what_lies_under_a_coat_has_its_colour_and_below_it_has_not(domain: Domain) -> None:
    own = look(1, "a", domain, 0)
    coated = replace(own, top=replace(own.top, hem=Z_HIP - 0.04, coat=Z_HIP - 0.3))
    assert Z_HIP - 0.3 < material(coated)["hem"][0] < Z_HIP - 0.2


def test_arms_stand_off_from_wide_hips_and_from_bags(domain: Domain) -> None:
    own = look(2, "a", domain, 0)
    bare = replace(own, carried=replace(own.carried, bag=Bag.NONE, bag_left=True))
    bag = replace(own, carried=replace(own.carried, bag=Bag.AT_HIP, bag_left=True))
    assert figure(bag).spread[0] > figure(bare).spread[0]
    assert figure(bag).spread[1] == figure(bare).spread[1]
    trousers = replace(bare, bottom=replace(bare.bottom, skirt=False))
    skirt = replace(bare, bottom=replace(bare.bottom, skirt=True, skirt_hem=Z_HIP - 0.3, flare=0.3))
    assert figure(skirt).spread[1] > figure(trousers).spread[1]
