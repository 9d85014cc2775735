import numpy as np

from sttreid.simulate import body as module
from sttreid.simulate.body import BONES, JOINT, JOINTS, MeshPart, body, shaped


def test_the_landmarks_are_those_of_the_asset() -> None:
    joints, rest = body().joints, body().rest
    for height, measured in (
        (module.Z_TOP, rest[:, 2].max()),
        (module.Z_NECK, joints[JOINT["neck"], 2]),
        (module.Z_HIP, joints[JOINT["thighL"], 2]),
        (module.Z_KNEE, joints[JOINT["shankL"], 2]),
        (module.Z_ANKLE, joints[JOINT["footL"], 2]),
    ):
        assert abs(height - measured) < 0.003


def test_the_asset_lists_the_joints_that_the_code_names() -> None:
    with np.load(module.Path(module.__file__).with_name("body.npz")) as asset:
        assert tuple(asset["joints"]) == BONES


def test_sheets_turn_about_the_middle_of_the_hips() -> None:
    for joints in (body().joints, shaped(body().examples[7], 1.7)[1]):
        middle = (joints[JOINT["thighL"]] + joints[JOINT["thighR"]]) / 2
        assert np.allclose(joints[[JOINT["sheetF"], JOINT["sheetB"]]], middle, atol=1e-6)
    assert not body().weights[:, len(BONES) :].any()


def test_every_vertex_is_moved_by_weights_that_sum_to_one() -> None:
    assert np.allclose(body().weights.sum(1), 1, atol=1e-3)
    assert body().weights.min() >= 0


def test_the_limb_coordinate_runs_from_shoulder_to_wrist() -> None:
    limb, parts = body().limb, body().parts
    assert limb[parts == MeshPart.UPPER_ARM].mean() < 0.7 < 1.2 < limb[parts == MeshPart.FOREARM].mean()
    assert not limb[parts == MeshPart.TORSO].any()


def test_a_shape_has_the_given_height() -> None:
    vertices, joints, scale = shaped(body().examples[5], 1.83)
    assert np.isclose(np.ptp(vertices[:, 2]), 1.83, atol=1e-4)
    assert len(joints) == len(JOINTS)
    assert 0.8 < scale < 1.2


def test_triangles_face_outward() -> None:
    a, b, c = body().rest[body().faces].transpose(1, 0, 2)
    volume = (np.cross(a, b) * c).sum() / 6
    assert 0.03 < volume < 0.12  # cubic metres, of a body of about two metres
