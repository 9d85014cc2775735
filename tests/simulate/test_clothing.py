from dataclasses import replace

import numpy as np

from sttreid.domain import Clothing, Domain
from sttreid.simulate.body import JOINTS, Part, body
from sttreid.simulate.clothing import figure
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


def test_a_skirt_is_outside_the_legs(domain: Domain) -> None:
    skirts = replace(domain, clothing=replace(domain.clothing, skirt=1.0))
    women = [
        someone for someone in (look(i, "a", skirts, 0) for i in range(1, 20)) if not someone.physique.male
    ]
    for woman in women[:4]:
        person = figure(woman)
        skirt = person.vertices[np.unique(person.faces[person.face_parts == Part.SKIRT])]
        thigh = person.vertices[: len(body().rest)][body().parts == Part.THIGH]
        covered = thigh[thigh[:, 2] > skirt[:, 2].min()]
        assert np.abs(skirt[:, 0]).max() >= np.abs(covered[:, 0]).max()
