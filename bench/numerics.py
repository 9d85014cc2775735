"""Which settings give the same bits where: `python -m bench.numerics [--qemu Haswell-noTSX EPYC-Rome]`.

Runs the operations of the network, forward and backward, and the golden runs of the tests (some steps of
every variant at a tiny size) in fresh processes: natively, at every instruction set that can be forced, on
the portable path, and, with --qemu, on the portable path on emulated processors (Debian's qemu-user; minutes
each). Prints which results have the same hash as the portable path on this machine.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sttreid.config.params import Augment
from sttreid.model.distances import cosine, euclidean
from sttreid.model.linear import Linear
from sttreid.runtime import numerics
from sttreid.tracklets.clips import augment
from sttreid.training.losses import attention_entropy

ROOT = Path(__file__).parents[1]
CLEAN = ("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR", numerics.NUMERICS)
STEPS = 2  # of a golden run: emulated, each takes seconds

Hashes = dict[str, str]
Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Setting:
    """A way to run this machine's processor, or an emulated one.

    Attributes:
        name: in the table.
        environment: of the process.
        cpu: model that qemu emulates; None: the real processor.
    """

    name: str
    environment: Mapping[str, str]
    cpu: str | None = None


PATH = Setting("portable", numerics.PORTABLE)
FORCED = (
    Setting("native", {}),
    Setting("ATen AVX2", {"ATEN_CPU_CAPABILITY": "avx2"}),
    Setting("ATen default", {"ATEN_CPU_CAPABILITY": "default"}),
    Setting("oneDNN AVX2", {"DNNL_MAX_CPU_ISA": "AVX2"}),
    Setting("oneDNN AVX512", {"DNNL_MAX_CPU_ISA": "AVX512_CORE"}),
    Setting("MKL AVX2", {"MKL_CBWR": "AVX2"}),
    Setting("all at AVX2", {**numerics.PORTABLE, "MKL_CBWR": "AVX2"}),
)


def main() -> None:
    """Measure and print the table, or, with --hashes, the hashes of this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qemu", nargs="*", default=[], metavar="CPU", help="models that qemu emulates")
    parser.add_argument("--hashes", action="store_true", help="of this process, as JSON")
    arguments = parser.parse_args()
    if arguments.hashes:
        json.dump(operations(), sys.stdout)
        return
    emulated = [Setting(cpu, numerics.PORTABLE, cpu) for cpu in arguments.qemu]
    table = {setting.name: run(setting) for setting in (PATH, *FORCED, *emulated)}
    print(f"processor: {platform.processor() or platform.machine()}; torch {torch.__version__}\n")
    print(markdown(table))


def markdown(table: Mapping[str, Hashes]) -> str:
    """Setting -> hashes, as a table: does a result equal the first setting's?"""
    first, *others = table
    lines = [f"| result | {' | '.join(others)} |", f"| :-- |{' :-: |' * len(others)}"]
    for name, value in table[first].items():
        lines.append(
            f"| {name} | {' | '.join('=' if table[other].get(name) == value else '-' for other in others)} |"
        )
    return "\n".join(lines)


def run(setting: Setting) -> Hashes:
    """The hashes of a fresh process with a setting."""
    environment = {name: value for name, value in os.environ.items() if name not in CLEAN}
    environment |= {**setting.environment, "OMP_NUM_THREADS": "1", "STTREID_DEVICE": "cpu"}
    if not setting.environment:
        environment[numerics.NUMERICS] = "native"
    packages = [str(ROOT / "src"), str(ROOT), sysconfig.get_paths()["purelib"]]
    environment["PYTHONPATH"] = os.pathsep.join(packages)
    python = str(Path(sys.executable).resolve())  # qemu would not find the packages of a virtual environment
    command = [python] if setting.cpu is None else ["qemu-x86_64", "-cpu", setting.cpu, python]
    hashes: Hashes = json.loads(_output([*command, "-m", "bench.numerics", "--hashes"], environment))
    golden: dict[str, Any] = json.loads(
        _output([*command, "-m", "tests.training.golden", str(STEPS)], environment)
    )
    print(f"{setting.name}: done", file=sys.stderr, flush=True)
    return hashes | {f"training, {name}": result["weights"] for name, result in golden["variants"].items()}


def _output(command: list[str], environment: Mapping[str, str]) -> str:
    result = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return result.stdout


def operations() -> Hashes:
    """Hashes of the outputs and gradients of the operations of a training step, at small sizes."""
    torch.set_num_threads(1)
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=random) * 2 - 1

    linear = Linear(64, 96)
    linear.load_state_dict({"weight": draw(96, 64), "bias": draw(96)})
    images = draw(16, 16, 16, 8).to(memory_format=torch.channels_last)
    frames = draw(16, 3, 64, 32).to(memory_format=torch.channels_last)
    tokens, rows = draw(10, 33, 64), draw(30, 64)
    heads = [draw(3, 4, 33, 16) for _ in range(3)]
    return {
        "convolution 7x7, stride 2": _both(
            lambda x, w: F.conv2d(x, w, None, 2, 3), frames, draw(16, 3, 7, 7)
        ),
        "convolution 3x3": _both(lambda x, w: F.conv2d(x, w, None, 1, 1), images, draw(16, 16, 3, 3)),
        "convolution 1x1": _both(lambda x, w: F.conv2d(x, w), images, draw(64, 16, 1, 1)),
        "batch norm": _both(lambda x: F.batch_norm(x, None, None, training=True), images),
        "max pool": _both(lambda x: F.max_pool2d(x, 3, 2, 1), images),
        "linear layer (oneDNN)": _both(linear, tokens),
        "linear layer (torch's)": _both(lambda x: F.linear(x, linear.weight, linear.bias), tokens),
        "attention": _both(lambda q, k, v: F.scaled_dot_product_attention(q, k, v), *heads),
        "layer norm": _both(lambda x: F.layer_norm(x, (64,)), tokens),
        "GELU": _both(F.gelu, tokens),
        "softmax": _both(lambda x: torch.softmax(x, -1), tokens),
        "cross entropy": _both(lambda x: F.cross_entropy(x, torch.arange(30), label_smoothing=0.1), rows),
        "attention-entropy loss": _both(lambda x: attention_entropy(torch.softmax(x, -1), 0.25), rows),
        "Euclidean distance": _both(lambda x: euclidean(x, x.detach() + 0.5), rows),
        "cosine distance": _both(lambda x: cosine(x, x.detach() + 0.5), rows),
        "standard deviation": _both(lambda x: x.std((1, 3)), images),
        "exp": _both(torch.exp, rows),
        "log": _both(lambda x: torch.log(x.abs() + 0.1), rows),
        "square root (not used)": _both(lambda x: torch.sqrt(x.abs() + 0.1), rows),
        "AdamW, fused": _adamw(draw),
        "augmentation": _augmentation(),
    }


def _both(function: Function, *inputs: Tensor) -> str:
    """Hash of the output and of the gradients of all inputs."""
    leaves = [value.clone().requires_grad_() for value in inputs]
    output = function(*leaves)
    output.backward(torch.linspace(-1, 1, output.numel()).view_as(output))  # type: ignore[no-untyped-call]
    return _hash(output, *(leaf.grad for leaf in leaves if leaf.grad is not None))


def _adamw(draw: Callable[..., Tensor]) -> str:
    parameter = torch.nn.Parameter(draw(300))
    optimiser = torch.optim.AdamW([parameter], lr=0.01, fused=True)
    for _ in range(5):
        parameter.grad = draw(300)
        optimiser.step()
    return _hash(parameter)


def _augmentation() -> str:
    settings = Augment(0.5, 4, 0.4, 0.3, 0.5, 0.15, 0.3, 0.3, 0.05, 0.3, 2.5)
    clips = np.random.default_rng(0).integers(0, 256, (20, 4, 64, 32, 3), dtype=np.uint8)
    out = np.empty((20, 4, 3, 64, 32), dtype=np.float32)
    for number, clip in enumerate(clips):
        augment(clip, settings, np.random.default_rng(number), out[number])
    return hashlib.sha256(out.tobytes()).hexdigest()


def _hash(*values: Tensor) -> str:
    sha = hashlib.sha256()
    for value in values:
        sha.update(value.detach().contiguous().numpy().tobytes())
    return sha.hexdigest()


if __name__ == "__main__":
    main()
