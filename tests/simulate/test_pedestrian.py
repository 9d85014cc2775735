from dataclasses import replace

import numpy as np

from sttreid.config.domain import Clothing, Domain
from sttreid.simulate.appearance import Bag
from sttreid.simulate.body import JOINTS, Z_HIP, MeshPart, body
from sttreid.simulate.pedestrian import build_pedestrian, material
from sttreid.simulate.wardrobe import draw_appearance


def test_pedestrians_are_valid_meshes(domain: Domain) -> None:
    for identity in range(1, 13):
        person = build_pedestrian(draw_appearance(identity, "a", domain, 0))
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
        person = build_pedestrian(draw_appearance(identity, "a", domain, 0))
        height = np.ptp(person.vertices[: len(body().rest), 2])
        assert person.appearance.physique.height <= height < person.appearance.physique.height + 0.08


def test_bags_do_not_count_as_the_person(domain: Domain) -> None:
    laden = replace(domain, clothing=Clothing(*[1.0] * 15))
    person = build_pedestrian(draw_appearance(1, "a", laden, 0))
    worn = np.isin(np.arange(len(person.vertices)), person.person)
    for part, counts in (
        (MeshPart.BAG, False),
        (MeshPart.TROLLEY, False),
        (MeshPart.BACKPACK, False),
        (MeshPart.COAT, True),
    ):
        corners = person.faces[person.face_parts == part]
        assert len(corners)
        assert (worn[corners] == counts).all()


def test_a_belt_is_visible_under_a_tucked_in_shirt_only(domain: Domain) -> None:
    appearance = draw_appearance(1, "a", domain, 0)
    for hem, seen in ((Z_HIP + 0.1, True), (Z_HIP - 0.05, False)):
        top = replace(appearance.top, hem=hem)
        worn = replace(appearance, top=top, bottom=replace(appearance.bottom, belt=True, skirt=False))
        assert material(worn)["belt"][0] == seen


def test_the_body_under_a_coat_has_its_colour(domain: Domain) -> None:
    appearance = draw_appearance(1, "a", domain, 0)
    coated = replace(appearance, top=replace(appearance.top, hem=Z_HIP - 0.04, coat=Z_HIP - 0.3))
    assert Z_HIP - 0.3 < material(coated)["hem"][0] < Z_HIP - 0.2


def test_arms_stand_off_from_wide_hips_and_from_bags(domain: Domain) -> None:
    appearance = draw_appearance(2, "a", domain, 0)
    bare = replace(appearance, carried=replace(appearance.carried, bag=Bag.NONE, bag_left=True))
    bag = replace(appearance, carried=replace(appearance.carried, bag=Bag.AT_HIP, bag_left=True))
    assert build_pedestrian(bag).arm_clearance[0] > build_pedestrian(bare).arm_clearance[0]
    assert build_pedestrian(bag).arm_clearance[1] == build_pedestrian(bare).arm_clearance[1]
    trousers = replace(bare, bottom=replace(bare.bottom, skirt=False))
    skirt = replace(bare, bottom=replace(bare.bottom, skirt=True, skirt_hem=Z_HIP - 0.3, flare=0.3))
    assert build_pedestrian(skirt).arm_clearance[1] > build_pedestrian(trousers).arm_clearance[1]
