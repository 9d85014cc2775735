from dataclasses import replace

import numpy as np
import pytest

from sttreid.config.domain import Domain
from sttreid.simulate.appearance import Arm, Bag, Look
from sttreid.simulate.body import JOINT, Z_HIP, Z_KNEE, Part, body
from sttreid.simulate.clothing import Figure, figure
from sttreid.simulate.gait import joint_matrices
from sttreid.simulate.raster import FAR, NOTHING, rasterise
from sttreid.simulate.wardrobe import look


@pytest.fixture(scope="module")
def looks(domain: Domain) -> list[Look]:
    return [look(identity, "a", domain, 0) for identity in range(1, 13)]


def skirted(own: Look) -> Look:
    skirt = replace(own.bottom, skirt=True, skirt_hem=Z_KNEE + 0.05, flare=0.04)
    return replace(own, bottom=skirt, top=replace(own.top, coat=9.0))


def coated(own: Look) -> Look:
    coat = replace(own.top, coat=Z_KNEE, hem=Z_HIP - 0.04)
    return replace(own, top=coat, bottom=replace(own.bottom, skirt=False))


def untucked(own: Look) -> Look:
    shirt = replace(own.top, coat=9.0, hem=Z_HIP - 0.06)
    return replace(own, top=shirt, bottom=replace(own.bottom, skirt=False))


def vertices_of(person: Figure, part: Part) -> np.ndarray:
    return np.unique(person.faces[person.face_parts == part])


def posed(person: Figure, phase: float) -> np.ndarray:
    """Vertices [V, 3], by the definition of linear blend skinning."""
    matrices = joint_matrices(person, np.array([phase]), np.zeros((1, 2)), np.zeros(1), 0.0)[0]
    mixed = (person.weights[..., None, None] * matrices[person.influences]).sum(1)
    return np.einsum("vab,vb->va", mixed[..., :3], person.vertices) + mixed[..., 3]


@pytest.mark.parametrize(
    ("wear", "part"), [(skirted, Part.SKIRT), (coated, Part.COAT), (untucked, Part.COAT)]
)
def test_a_sheet_ends_at_its_hem_whatever_the_length_of_the_legs(looks: list[Look], wear, part: Part) -> None:
    for own in looks:
        person = figure(wear(own))
        marks = [JOINT[name] for name in ("footL", "shankL", "thighL", "neck")]
        hem = np.interp(person.look.lowest_hem, body().joints[marks, 2], person.joints[marks, 2])
        sheet = vertices_of(person, part)
        assert person.vertices[sheet, 2].min() == pytest.approx(hem, abs=1e-3)
        assert person.canonical[sheet, 2].min() == pytest.approx(person.look.lowest_hem, abs=1e-3)


def seen(person: Figure, phase: float, yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """Part and canonical height of what a camera sees of a person in every sample."""
    points = posed(person, phase)
    turned = np.stack([points @ [np.cos(yaw), np.sin(yaw), 0], points @ [-np.sin(yaw), np.cos(yaw), 0]], 1)
    screen = np.stack([turned[:, 0] * 50 + 50, 105 - points[:, 2] * 50, 10 + turned[:, 1]], 1)
    depth, hit = np.full((220, 200), FAR, np.float32), np.full((220, 200), NOTHING, np.int32)
    bary = np.zeros((220, 200, 2), np.float32)
    rasterise(screen.astype(np.float32), person.faces, person.face_parts, 0, 0, depth, hit, bary)
    found = hit != NOTHING
    height = person.canonical[person.faces[hit[found]], 2]
    u, v = bary[found].T
    return person.face_parts[hit[found]], (1 - u - v) * height[:, 0] + u * height[:, 1] + v * height[:, 2]


@pytest.mark.parametrize(("wear", "part"), [(skirted, Part.SKIRT), (coated, Part.COAT)])
def test_legs_do_not_come_through_a_skirt_or_a_coat(looks: list[Look], wear, part: Part) -> None:
    """Of the leg that cloth covers while the wearer stands, next to nothing shows on the walk."""
    through, cloth = 0, 0
    for own in looks:
        person = figure(wear(own))
        for phase in (0.0, 0.3, 0.6, 0.9):
            for yaw in np.arange(8) * np.pi / 4:
                parts, height = seen(person, phase, yaw)
                covered = height > person.look.lowest_hem + 0.06
                through += (np.isin(parts, (Part.THIGH, Part.SHANK)) & covered).sum()
                cloth += (parts == part).sum()
    assert cloth > 10_000
    assert through < 0.02 * cloth


def test_a_coat_begins_under_the_jacket_that_it_hangs_from(looks: list[Look]) -> None:
    for own in looks:
        person = figure(coated(own))
        sheet = person.vertices[vertices_of(person, Part.COAT)]
        rim = sheet[sheet[:, 2] > sheet[:, 2].max() - 1e-3]
        torso = person.vertices[: len(body().parts)][body().parts == Part.TORSO]
        near = torso[np.abs(torso[:, 2] - rim[0, 2]) < 0.05]
        for axis in (0, 1):
            assert rim[:, axis].max() < near[:, axis].max()
            assert rim[:, axis].min() > near[:, axis].min()


def test_a_coat_goes_round_the_skirt_below_it(looks: list[Look]) -> None:
    own = coated(looks[0])
    wide = replace(own, bottom=replace(own.bottom, skirt=True, skirt_hem=Z_KNEE, flare=0.14))
    person = figure(wide)
    skirt, coat = (person.vertices[vertices_of(person, part)] for part in (Part.SKIRT, Part.COAT))
    assert np.abs(coat[:, 0]).max() > np.abs(skirt[:, 0]).max()


def test_a_bag_hangs_upright_from_a_hand(looks: list[Look]) -> None:
    for own in looks[:6]:
        walk = replace(
            own.walk, left=Arm.CARRIES, right=Arm.CARRIES, lean=0.0, hunch=0.0, tilt=0.0, swing=0.0
        )
        carried = replace(own.carried, bag=Bag.IN_HAND)
        person = figure(replace(own, carried=carried, walk=walk))
        bag = posed(person, 0.25)[vertices_of(person, Part.BAG)]
        wide, deep, high = np.ptp(bag, axis=0)  # the person looks along x
        assert deep == pytest.approx(0.1, abs=0.03)
        assert high == pytest.approx(0.26, abs=0.03)
        assert wide == pytest.approx(0.3, abs=0.03)


def test_a_skirt_is_outside_the_legs(looks: list[Look]) -> None:
    for own in looks:
        person = figure(skirted(own))
        skirt = person.vertices[vertices_of(person, Part.SKIRT)]
        thigh = person.vertices[: len(body().parts)][body().parts == Part.THIGH]
        covered = thigh[thigh[:, 2] > skirt[:, 2].min()]
        assert np.abs(skirt[:, 0]).max() >= np.abs(covered[:, 0]).max()
