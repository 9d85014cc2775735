"""Training runs in processes of their own, which tests may kill, limit and restart."""

import multiprocessing
import os
import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import torch

from sttreid.model.weights import save
from sttreid.runtime.checkpoints import SECONDS, checkpoint_folder
from sttreid.runtime.distributed import process_group
from sttreid.runtime.files import write_text
from sttreid.runtime.progress import history_text
from sttreid.runtime.supervisor import supervise
from sttreid.tracklets.store import open_store
from sttreid.training.loop import Recipe, fit
from tests.sections import BATCH, COMPUTE, LOSS, MODEL, PLAIN, SCHEDULE, small_network

STEPS = 24
AUGMENT = replace(PLAIN, flip=0.5, pad=2, brightness=0.2, erase=0.5)
RECIPE = Recipe(AUGMENT, BATCH, LOSS, replace(SCHEDULE, steps=STEPS, warmup=5), COMPUTE)
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["sttreid.training.loop", "torch._dynamo"])


def measure(network: torch.nn.Module, *_: object) -> dict[str, float]:
    """A validation that depends on the weights to the last bit."""
    return {"train_rank1": float(sum(p.detach().double().sum() for p in network.parameters()))}


def train(
    store: Path, folder: Path, at: Callable[[int], None] | None = None, limit: int = 0, seconds: int = 0
) -> None:
    """Train with dropout and write what a stage would write: model.pt and history.tsv.

    Args:
        store: path of the tracklet store.
        folder: of the outputs, the checkpoints, and stderr (log.txt).
        at: is called before each step with its number.
        limit: the largest file in bytes that the process may write while it trains, as on a full disk.
        seconds: between two checkpoints.
    """
    os.environ[SECONDS] = str(seconds)
    sys.stderr = (folder / "log.txt").open("a", buffering=1)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    network = small_network(dropout=0.2)
    if at is not None:
        before_steps(network, at)
    with process_group(torch.device("cpu")) as group, checkpoint_folder(folder / "scratch") as checkpoints:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        with supervise("test", checkpoints, group) as observer:
            history = fit(network, open_store(store), RECIPE, 0, group, observer, measure)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if group.first:
            save(network, MODEL, folder / "model.pt")
            write_text(folder / "history.tsv", history_text(history))


class Signal:
    """Send this process a signal in the middle of one of its steps."""

    def __init__(self, number: int, step: int) -> None:
        self.number, self.step = number, step

    def __call__(self, step: int) -> None:
        if step == self.step:
            os.kill(os.getpid(), self.number)


def before_steps(network: torch.nn.Module, at: Callable[[int], None]) -> None:
    """Call ``at`` with 1, 2, ... before the network is trained on a batch in this process."""
    count = 0

    def hook(module: torch.nn.Module, _: object) -> None:
        nonlocal count
        if module.training:
            count += 1
            at(count)

    network.register_forward_pre_hook(hook)


def start(*arguments: object) -> ForkServerProcess:
    """Begin ``train(*arguments)`` in a process of its own."""
    process = SERVER.Process(target=train, args=arguments)
    process.start()
    return process


def outcome(folder: Path) -> tuple[bytes, bytes]:
    """The bytes of model and history."""
    return (folder / "model.pt").read_bytes(), (folder / "history.tsv").read_bytes()
