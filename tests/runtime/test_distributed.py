"""Two processes against one: equal gradients, equal weights; and what happens when one of them is killed."""

import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from sttreid.runtime.distributed import SINGLE, ProcessGroup, process_group
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import open_store
from sttreid.training import loop
from tests.sections import BATCH, LOSS, SCHEDULE, small_network
from tests.training.runs import RECIPE, SERVER, STEPS, Signal, measure, outcome, train

SGD_STEPS = 20
CPU = torch.device("cpu")


class Descent(torch.optim.SGD):
    """Plain descent that keeps the first step's gradients."""

    def __init__(self, network: nn.Module, _: object) -> None:
        self.named = dict(network.named_parameters())
        self.first: dict[str, torch.Tensor] = {}
        parameters = [p for p in self.named.values() if p.requires_grad]
        super().__init__([{"params": parameters, "peak_lr": 0.003}], lr=0.003)

    def step(self, closure=None):
        if not self.first:
            self.first = {n: p.grad.clone() for n, p in self.named.items() if p.grad is not None}
        super().step(closure)


def join(rank: int, size: int, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def descend(store: Path, folder: Path, rank: int, size: int, port: int, how: str = "") -> None:
    """Steps of descent in float64 with frozen batch norms; the first process writes the result."""
    join(rank, size, port)
    torch.set_num_threads(1)
    network = small_network().double()
    network.register_forward_pre_hook(lambda _, given: (given[0].double(), *given[1:]))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()
            module.train = lambda *_, module=module: module
    made = []
    loop.build_optimiser = lambda *given: made.append(Descent(*given)) or made[0]
    schedule = replace(SCHEDULE, steps=3 if how == "partial" else SGD_STEPS, warmup=1, max_grad_norm=1e9)
    loss = replace(LOSS, identity=0.0, spatial=0.0) if how == "partial" else LOSS
    recipe = replace(RECIPE, schedule=schedule, loss=loss, batch=replace(BATCH, identities=4))
    with process_group(CPU) as group:
        if how == "apart":
            ProcessGroup.gather = lambda _, x: x
        history = loop.fit(network, open_store(store), recipe, 0, group, validate=measure)
    content = {"gradients": made[0].first, "weights": network.state_dict()}
    content["history"] = torch.from_numpy(history.to_numpy(float))
    if group.first:
        torch.save(content, folder / f"{size}{how}.pt")


def train_together(store: Path, folder: Path, rank: int, port: int, at: Signal | None) -> None:
    join(rank, 2, port)
    train(store, folder, at if rank == 1 else None)


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def together(target, *arguments: tuple[object, ...]) -> list[int]:
    """Run processes at the same time; returns their exit codes."""
    processes = [SERVER.Process(target=target, args=given) for given in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


def differences(one, other) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def test_two_processes_descend_as_one_does(store_folder, tmp_path):
    port, other = free_port(), free_port()
    assert together(descend, (store_folder, tmp_path, 0, 1, 0)) == [0]
    assert together(descend, *((store_folder, tmp_path, rank, 2, port) for rank in (0, 1))) == [0, 0]
    together(descend, *((store_folder, tmp_path, rank, 2, other, "apart") for rank in (0, 1)))
    alone, both, apart = (torch.load(tmp_path / f"{name}.pt") for name in ("1", "2", "2apart"))
    assert max(float(g.abs().max()) for g in alone["gradients"].values()) > 0.01
    assert differences(alone["gradients"], both["gradients"]) < 1e-10
    assert differences(alone["weights"], both["weights"]) < 1e-8
    start = small_network().double().state_dict()
    assert differences(start, alone["weights"]) > 1e-3  # the weights have changed
    torch.testing.assert_close(alone["history"], both["history"], rtol=1e-9, atol=1e-9, equal_nan=True)
    assert differences(alone["gradients"], apart["gradients"]) > 1e-4  # not those of mining apart


def test_heads_without_their_terms_do_not_block_the_processes(store_folder, tmp_path):
    port = free_port()
    assert together(descend, (store_folder, tmp_path, 0, 1, 0, "partial")) == [0]
    codes = together(descend, *((store_folder, tmp_path, rank, 2, port, "partial") for rank in (0, 1)))
    assert codes == [0, 0]
    alone, both = (torch.load(tmp_path / f"{size}partial.pt") for size in (1, 2))
    assert "network.branches.stt.frame_head.classifier.weight" not in alone["gradients"]
    assert differences(alone["gradients"], both["gradients"]) < 1e-10
    assert differences(alone["weights"], both["weights"]) < 1e-8


def test_a_killed_process_stops_the_other_and_the_run_resumes(store_folder, tmp_path):
    for name in ("uninterrupted", "interrupted"):
        (tmp_path / name).mkdir()
    whole, folder = tmp_path / "uninterrupted", tmp_path / "interrupted"
    port = free_port()
    assert together(train_together, *((store_folder, whole, rank, port, None) for rank in (0, 1))) == [0, 0]
    port, death = free_port(), Signal(signal.SIGKILL, 7)
    codes = together(train_together, *((store_folder, folder, rank, port, death) for rank in (0, 1)))
    assert codes == [1, -signal.SIGKILL]
    assert [path.name for path in (folder / "scratch").glob("*/step-*6.pt")] == ["step-000000006.pt"]
    port = free_port()
    assert together(train_together, *((store_folder, folder, rank, port, None) for rank in (0, 1))) == [0, 0]
    assert f"{STEPS - 6} steps (resumed after step 6)" in (folder / "log.txt").read_text()
    assert outcome(folder) == outcome(whole)


def test_processes_stop_after_the_same_step(store_folder, tmp_path):
    port, stop = free_port(), Signal(signal.SIGTERM, 5)
    codes = together(train_together, *((store_folder, tmp_path, rank, port, stop) for rank in (0, 1)))
    assert codes == [1, 1]  # only the second one received the signal
    assert (tmp_path / "log.txt").read_text().count("training stopped on request after step 5") == 2


def test_batch_norms_are_only_synchronised_on_cuda():
    with pytest.raises(InputError, match=r"compute\.sync_batch_norm needs CUDA devices .*, got cpu"):
        ProcessGroup(0, 2).wrap(small_network(), True, CPU)


def test_a_single_process_changes_nothing(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    x, module = torch.rand(3, requires_grad=True), nn.Linear(1, 1)
    with process_group(CPU) as group:
        assert group == SINGLE
    assert SINGLE.gather(x) is SINGLE.mean(x) is x
    assert SINGLE.broadcast(b"a") == b"a"
    assert SINGLE.wrap(module, True, CPU) is module
