"""Training steps and checkpoints at the sizes of docs/performance.md: `python -m bench.steps`.

The step of this repository and the usual one (bench/training.py) take turns, each in a process of its own
with one thread. Ours runs with the processor's own kernels, as the usual one does, and on the portable path,
which is the default of the pipeline (docs/numerics.md).
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import torch

from bench.clips import random_images
from bench.costs import Call, Candidate, per_call, side_by_side
from bench.figures import Figure, alone, at_least, command_line, compared, missing, show
from bench.training import Timing, network_of, ours, parameters, parts, usual
from sttreid.runtime import checkpoints, numerics
from sttreid.training.optimisation import build_optimiser

CPU: Final = torch.device("cpu")
SPEED: Final = at_least(1.5)  # times that of the usual step
NETWORKS: Final[dict[str, tuple[tuple[Any, ...], Timing]]] = {  # profile, P and K; which steps count
    "default network": (("", None, None), Timing(12, 3, time.process_time)),
    "paper's network": (("paper", 2, 2), Timing(1, 1, time.process_time)),
}
USUAL: Final = "usual step"
PATHS: Final = {"native": "native", "portable": "portable (the default)"}


def prepare(kind: str, arguments: tuple[Any, ...], timing: Timing) -> Call:
    """A call that trains some steps and returns clips per CPU second."""
    params = parameters(*arguments)
    numerics.prepare(1, numerics.current())
    folder = tempfile.TemporaryDirectory()
    store = random_images(Path(folder.name), params.decode.height, params.decode.width)

    def call() -> float:
        if kind == USUAL:
            return usual(params, Path(folder.name), store, CPU, timing, 0).clips
        return ours(params, store, CPU, timing, kind, False).clips

    return call


def steps(name: str, arguments: tuple[Any, ...], timing: Timing, rounds: int) -> Iterator[Figure]:
    """Our step beside the usual one."""
    candidates = {
        USUAL: Candidate(prepare, (USUAL, arguments, timing)),
        "native": Candidate(prepare, ("fp32", arguments, timing)),
        "portable": Candidate(prepare, ("fp32", arguments, timing), numerics.PORTABLE),
        "bf16": Candidate(prepare, ("bf16", arguments, timing)),
    }
    costs = side_by_side(candidates, rounds)
    clips = {kind: [cost.result for cost in rows] for kind, rows in costs.items()}
    for kind, label in PATHS.items():
        what = f"training step, {name}, fp32, {label} kernels"
        yield compared(what, "clips per CPU-s", clips[kind], USUAL, clips[USUAL], SPEED)
    what = f"training step, {name}, bf16, native kernels"
    yield compared(what, "clips per CPU-s", clips["bf16"], USUAL, clips[USUAL])
    memory = {kind: [cost.memory for cost in rows] for kind, rows in costs.items()}
    what = f"training step, {name}, fp32: memory beside imports and data"
    yield compared(what, "MB", memory["native"], USUAL, memory[USUAL])


def shares(name: str, arguments: tuple[Any, ...], timing: Timing) -> Iterator[Figure]:
    """Where the time of our step goes."""
    params = parameters(*arguments)
    with tempfile.TemporaryDirectory() as folder:
        store = random_images(Path(folder), params.decode.height, params.decode.width)
        found = parts(params, store, CPU, timing, "fp32")
    for part, share in found.items():
        yield alone(f"{name}, share of the step: {part}", "%", [100 * share])


def checkpoint(name: str, arguments: tuple[Any, ...]) -> Iterator[Figure]:
    """A checkpoint of network and optimiser, with its checksum, beside bare torch.save."""
    params = parameters(*arguments)
    network = network_of(params, CPU)
    optimiser = build_optimiser(network, params.finetune)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        with checkpoints.checkpoint_folder(folder / "run") as stage:
            run = stage.open("bench")
            calls = [
                (
                    per_call(lambda: run.write(1, checkpoints.pack(state)), 0.5),
                    per_call(lambda: torch.save(state, folder / "bare.pt"), 0.5),
                )
                for _ in range(3)
            ]
        megabytes = (folder / "bare.pt").stat().st_size / 1e6
    mine, bare = zip(*calls, strict=True)
    yield compared(f"checkpoint, {name}, {megabytes:.0f} MB", "CPU-s", mine, "bare torch.save", bare)


def figures(networks: Sequence[str] = tuple(NETWORKS), rounds: int = 3) -> Iterator[Figure]:
    """What docs/performance.md quotes."""
    numerics.prepare(1, numerics.current())
    for name in networks:
        arguments, timing = NETWORKS[name]
        yield from steps(name, arguments, timing, rounds)
        yield from shares(name, arguments, timing)
        yield from checkpoint(name, arguments)
    if torch.cuda.is_available():
        yield missing("training step on a GPU", "python -m bench.training --profile paper measures it")
    else:
        yield missing("training step on a GPU", "no CUDA device")


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = command_line("steps", __doc__, figures)
    parser.add_argument("--network", nargs="*", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(words)
    show(figures(given.network, given.rounds))


if __name__ == "__main__":
    main()
