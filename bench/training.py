"""What a training step costs: `python -m bench.training [--profile paper] [--identities 8 --clips 4]`.

Our step (memory-mapped store, channels_last, one fused attention) in fp32, bf16 and, on CUDA, bf16 with
torch.compile, against the same network trained the way other repositories of this field do it: eager fp32 in
NCHW, one JPEG file a frame read with PIL and transformed picture by picture in a DataLoader,
``nn.DataParallel`` around the network on CUDA, plain Adam, a number fetched from the device for every loss
term. All cases see random pictures of the profile's size; they learn nothing.

On CUDA the table also has the peak memory and the floating-point operations of backbone and transformers as a
share of what a large matrix product reaches on the same device. Runs on a CPU as well, where only the ratios
between the cases mean something.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from sttreid.config.params import Params, load
from sttreid.model.network import Network
from sttreid.runtime import numerics
from sttreid.runtime.distributed import ALONE
from sttreid.tracklets.batches import Reader, plan
from sttreid.tracklets.clips import MEAN, STD, restricted_random
from sttreid.tracklets.store import Store, write_store
from sttreid.training import losses
from sttreid.training.loop import WORKERS
from sttreid.training.schedule import optimizer
from sttreid.training.step import Step

PEOPLE, LENGTH = 16, 20  # identities of two tracklets each, frames of a tracklet
WARM_UP = 3  # steps that are not timed: allocators, kernels' choice, compilation


@dataclass(frozen=True)
class Cost:
    """What one case took.

    Attributes:
        clips: per second.
        wait: share of the time spent waiting for data.
        memory: peak of the device's, in GiB; NaN on a CPU.
        busy: share of the time that a matrix product's speed would need for the same work; NaN on a CPU.
    """

    clips: float
    wait: float
    memory: float
    busy: float


def pictures(folder: Path, height: int, width: int) -> Store:
    """A store of random, smooth pictures, and the same frames as JPEG files beside it."""
    rng = np.random.default_rng(0)
    rows, crops = [], []
    for tracklet in range(2 * PEOPLE):
        for frame in range(1, LENGTH + 1):
            rows.append((tracklet, tracklet // 2, tracklet % 2, frame, "train", 1.0))
            coarse = Image.fromarray(rng.integers(0, 256, (8, 4, 3), dtype=np.uint8))
            crop = coarse.resize((width, height), Image.Resampling.BICUBIC)
            crop.save(folder / f"{len(crops)}.jpg", quality=95)
            crops.append(np.asarray(crop))
    columns = ["tracklet", "identity", "camera", "frame", "split", "visibility"]
    index = pd.DataFrame(rows, columns=columns)
    return write_store(folder / "store", index, enumerate(crops), height, width)


class Files(Dataset[tuple[Tensor, int, int]]):
    """Clips as other repositories read them: a file a frame, every frame changed for itself."""

    def __init__(self, folder: Path, tracklets: pd.DataFrame, params: Params, rows: list[int]) -> None:
        self.folder, self.tracklets, self.params, self.rows = folder, tracklets, params, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> tuple[Tensor, int, int]:
        row = self.tracklets.iloc[self.rows[place]]
        rng = np.random.default_rng([place])
        chosen = row["start"] + restricted_random(int(row["length"]), self.params.clip.frames, rng)
        clip = torch.stack([self._picture(int(number), rng) for number in chosen])
        return clip, int(row["identity"]), int(row["tracklet"])

    def _picture(self, number: int, rng: np.random.Generator) -> Tensor:
        height, width, pad = self.params.decode.height, self.params.decode.width, self.params.augment.pad
        picture = Image.open(self.folder / f"{number}.jpg").convert("RGB")
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        if rng.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        larger = Image.new("RGB", (width + 2 * pad, height + 2 * pad))
        larger.paste(picture, (pad, pad))
        left, top = rng.integers(0, 2 * pad + 1, 2).tolist()
        picture = larger.crop((left, top, left + width, top + height))
        x = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
        x = (x - torch.from_numpy(MEAN)[:, None, None]) / torch.from_numpy(STD)[:, None, None]
        if rng.random() < 0.5:
            x[:, : height // 4, : width // 2] = 0
        return x


def network_of(params: Params, device: torch.device) -> Network:
    torch.manual_seed(0)
    size = params.decode.height, params.decode.width
    return Network(params.model, params.clip.frames, *size, PEOPLE).to(device)


def ours(
    params: Params, store: Store, device: torch.device, steps: int, precision: str, compiled: bool
) -> Cost:
    """Our step, as `sttreid.training.loop` makes it."""
    network = network_of(params, device)
    compute = replace(params.compute, precision=precision)
    step: nn.Module = Step(network, params.loss, compute, ALONE.gather)
    if compiled:
        step.compile()
    optimiser = optimizer(network, params.finetune)
    cuda = device.type == "cuda"
    split = store.of_split("train")
    reader = Reader(store, split, params.batch, slice(None), params.clip.frames, params.augment, 0)
    batches = reader.steps(0, WARM_UP + steps, WORKERS if cuda else 0, cuda)
    network.train()

    def train(batch: Any) -> None:
        parts = batch.clips, batch.classes, batch.tracklets
        named = step(*(part.to(device, non_blocking=True) for part in parts))
        loss = losses.total(named, params.loss)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(network.parameters(), params.finetune.max_grad_norm)
        torch.stack([value.detach() for value in (loss, *named.values(), norm)]).tolist()
        optimiser.step()

    with numerics.deterministic(), numerics.full_precision():
        return timed(train, batches, steps, params, network, device, precision)


def peers(params: Params, folder: Path, store: Store, device: torch.device, steps: int, workers: int) -> Cost:
    """The same network and losses in the usual loop."""
    network = network_of(params, device)
    network.backbone.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    network.backbone.register_forward_pre_hook(lambda _, given: given[0].contiguous())
    model = nn.DataParallel(network) if device.type == "cuda" else network
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-4, weight_decay=5e-4, foreach=False)
    split, size = store.of_split("train"), params.batch
    rows = [plan(split, size.identities, size.clips, 0, step) for step in range(WARM_UP + steps)]
    files = Files(folder, split, params, np.concatenate(rows).tolist())
    batches = DataLoader(files, batch_size=len(rows[0]), num_workers=workers)
    network.train()

    def train(batch: list[Tensor]) -> None:
        clips, classes, tracklets = (part.to(device) for part in batch)
        output = model(clips, "first")
        named = losses.terms(output, classes, tracklets, params.loss)
        loss = losses.total(named, params.loss)
        for value in named.values():
            value.item()
        optimiser.zero_grad(set_to_none=False)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return timed(train, iter(batches), steps, params, network, device, "fp32")


def timed(
    train: Callable[[Any], None],
    batches: Iterator[Any],
    steps: int,
    params: Params,
    network: Network,
    device: torch.device,
    precision: str,
) -> Cost:
    """Warm up, then time ``steps`` steps."""
    cuda = device.type == "cuda"
    for _ in range(WARM_UP):
        train(next(batches))
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    waited, start = 0.0, time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        train(batch)
    if cuda:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    clips = steps * params.batch.identities * params.batch.clips
    if not cuda:
        return Cost(clips / seconds, waited / seconds, float("nan"), float("nan"))
    needed = 3 * sum(operations(params, network, device).values()) * clips / product_speed(device, precision)
    memory = torch.cuda.max_memory_allocated() / 2**30
    return Cost(clips / seconds, waited / seconds, memory, needed / seconds)


def operations(params: Params, network: Network, device: torch.device) -> dict[str, float]:
    """Floating-point operations of one clip's forward pass, of the backbone and of all behind it."""
    size = params.clip.frames, 3, params.decode.height, params.decode.width
    clips = torch.zeros(2, *size, device=device)
    with torch.no_grad():
        with FlopCounterMode(display=False) as whole:
            network(clips, "first")
        with FlopCounterMode(display=False) as backbone:
            network.backbone(clips.flatten(0, 1))
    first = backbone.get_total_flops() / 2
    return {"backbone": first, "transformers": whole.get_total_flops() / 2 - first}


def product_speed(device: torch.device, precision: str, side: int = 8192, repeats: int = 20) -> float:
    """Operations a second of a large square matrix product: what the device can do."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a = torch.randn(side, side, device=device, dtype=kind)
    for _ in range(3):
        a @ a
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        a @ a
    torch.cuda.synchronize()
    return 2 * side**3 * repeats / (time.perf_counter() - start)


def parts(params: Params, store: Store, device: torch.device, steps: int, precision: str) -> dict[str, float]:
    """Share of a step's time in each part, with the device brought to a stop between them."""
    network = network_of(params, device).train()
    step = Step(network, params.loss, replace(params.compute, precision=precision), ALONE.gather)
    optimiser = optimizer(network, params.finetune)
    split = store.of_split("train")
    reader = Reader(store, split, params.batch, slice(None), params.clip.frames, params.augment, 0)
    seconds: dict[str, float] = {}

    @contextmanager
    def part(name: str, counts: bool) -> Iterator[None]:
        stop(device)
        start = time.perf_counter()
        yield
        stop(device)
        if counts:
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start

    counts, forward = False, network.backbone.forward

    def backbone(x: Tensor) -> Tensor:
        with part("backbone", counts):
            return forward(x)

    network.backbone.forward = backbone  # type: ignore[method-assign]
    batches = reader.steps(0, WARM_UP + steps, 0)
    for number in range(WARM_UP + steps):
        counts = number >= WARM_UP
        with part("data", counts):
            batch = next(batches)
        with part("forward", counts):
            clips = batch.clips.to(device)
            named = step(clips, batch.classes.to(device), batch.tracklets.to(device))
            loss = losses.total(named, params.loss)
        with part("backward", counts):
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
        with part("optimiser", counts):
            nn.utils.clip_grad_norm_(network.parameters(), params.finetune.max_grad_norm)
            optimiser.step()
    seconds["forward, behind the backbone"] = seconds.pop("forward") - seconds["backbone"]
    seconds["forward, backbone"] = seconds.pop("backbone")
    whole = sum(seconds.values())
    return {name: value / whole for name, value in sorted(seconds.items())}


def stop(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def parameters(profile: str, identities: int | None, clips: int | None) -> Params:
    """params.yaml with a profile's overrides; batches and their sizes may be chosen."""
    content = yaml.safe_load(Path("params.yaml").read_text())
    lines = Path(f"profiles/{profile}.txt").read_text().splitlines() if profile else []
    values = dict(line.split("=", 1) for line in lines if line.strip() and not line.startswith("#"))
    values |= {"batch.identities": identities} if identities else {}
    values |= {"batch.clips": clips} if clips else {}
    for key, value in values.items():
        *places, last = key.split(".")
        section = content
        for place in places:
            section = section[place]
        section[last] = yaml.safe_load(str(value))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return load(path)


def report(params: Params, device: torch.device, steps: int, workers: int, compiled: bool) -> str:
    """The costs as Markdown."""
    decode, batch = params.decode, params.batch
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    place = f"{decode.height}x{decode.width}, T = {params.clip.frames}, {batch.identities} x {batch.clips}"
    made = f"{name}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    lines = [f"{made}; {place}; {steps} steps", ""]
    lines.append("| step | clips/s | ratio | data wait | peak GiB | of a product's speed |")
    lines.append("|:--|--:|--:|--:|--:|--:|")
    cases = [("fp32", "fp32", False), ("bf16", "bf16", False)]
    cases += [("bf16, compiled", "bf16", True)] if compiled else []
    with tempfile.TemporaryDirectory() as folder:
        store = pictures(Path(folder), decode.height, decode.width)
        base = peers(params, Path(folder), store, device, steps, workers)
        costs = {"as peers do it": base}
        for title, precision, compile_it in cases:
            costs[title] = ours(params, store, device, steps, precision, compile_it)
        shares = {kind: parts(params, store, device, steps, kind) for kind in ("fp32", "bf16")}
    for title, cost in costs.items():
        numbers = f"{cost.clips:.3g} | {cost.clips / base.clips:.2f} | {cost.wait:.1%}"
        lines.append(f"| {title} | {numbers} | {cost.memory:.2f} | {cost.busy:.0%} |".replace("nan%", "-"))
    lines = [line.replace("| nan |", "| - |") for line in lines]
    lines += ["", "| share of the step | " + " | ".join(shares["fp32"]) + " |"]
    lines.append("|:--" + "|--:" * len(shares["fp32"]) + "|")
    for kind, found in shares.items():
        lines.append(f"| {kind} | " + " | ".join(f"{share:.1%}" for share in found.values()) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="", help="of profiles/, without the suffix")
    parser.add_argument("--identities", type=int, help="P")
    parser.add_argument("--clips", type=int, help="K")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=0, help="DataLoader processes of the peers' step")
    parser.add_argument("--compile", action="store_true", help="also on a CPU")
    given = parser.parse_args(arguments)
    params = parameters(given.profile, given.identities, given.clips)
    device = numerics.prepare(params.compute.threads)
    compiled = given.compile or device.type == "cuda"
    print(report(params, device, given.steps, given.workers, compiled))


if __name__ == "__main__":
    main()
