"""What a training step costs: `python -m bench.training [--profile paper] [--identities 8 --clips 4]`.

Our step (memory-mapped store, channels_last, fused attention) in fp32, bf16 and, on CUDA, bf16 with
torch.compile, against the same network trained as other repositories of this field do it: eager fp32 in
NCHW, one JPEG file per frame read with PIL and transformed image by image in a DataLoader,
``nn.DataParallel`` around the network on CUDA, plain Adam, one number fetched from the device for every
loss term. All cases read random images of the profile's size; nothing is learned.

On CUDA the table also has the peak memory, and the floating-point operations of backbone and transformers
as a share of the speed of a large matrix product on the same device. On a CPU only the ratios between the
cases are meaningful.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
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

from bench.clips import IDENTITIES, random_images
from sttreid.config.params import Params, load
from sttreid.model.network import Network
from sttreid.runtime import numerics
from sttreid.runtime.distributed import SINGLE
from sttreid.tracklets.batches import BatchReader, plan
from sttreid.tracklets.clips import MEAN, STD, restricted_random
from sttreid.tracklets.store import Store
from sttreid.training import losses
from sttreid.training.loop import WORKERS
from sttreid.training.optimisation import build_optimiser
from sttreid.training.step import Step


@dataclass(frozen=True)
class Timing:
    """How many steps are timed, after some that choose kernels and fill allocators, and by which clock."""

    steps: int
    warm_up: int = 3
    clock: Callable[[], float] = time.perf_counter

    @property
    def total(self) -> int:
        return self.warm_up + self.steps


@dataclass(frozen=True)
class Cost:
    """The cost of one case.

    Attributes:
        clips: per second.
        wait: share of the time spent waiting for data.
        memory: peak of the device's, in GiB; NaN on a CPU.
        busy: share of the time in which matrix products would do the same work; NaN on a CPU.
    """

    clips: float
    wait: float
    memory: float
    busy: float


class Files(Dataset[tuple[Tensor, int, int]]):
    """Clips as the usual step reads them: one file per frame, each frame augmented independently."""

    def __init__(self, folder: Path, tracklets: pd.DataFrame, params: Params, rows: list[int]) -> None:
        self.folder, self.tracklets, self.params, self.rows = folder, tracklets, params, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        row = self.tracklets.iloc[self.rows[index]]
        rng = np.random.default_rng([index])
        chosen = row["start"] + restricted_random(int(row["length"]), self.params.clip.frames, rng)
        clip = torch.stack([self._image(int(number), rng) for number in chosen])
        return clip, int(row["identity"]), int(row["tracklet"])

    def _image(self, number: int, rng: np.random.Generator) -> Tensor:
        height, width, pad = self.params.decode.height, self.params.decode.width, self.params.augment.pad
        image = Image.open(self.folder / f"{number}.jpg").convert("RGB")
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        if rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        larger = Image.new("RGB", (width + 2 * pad, height + 2 * pad))
        larger.paste(image, (pad, pad))
        left, top = rng.integers(0, 2 * pad + 1, 2).tolist()
        image = larger.crop((left, top, left + width, top + height))
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        x = (x - torch.from_numpy(MEAN)[:, None, None]) / torch.from_numpy(STD)[:, None, None]
        if rng.random() < 0.5:
            x[:, : height // 4, : width // 2] = 0
        return x


def network_of(params: Params, device: torch.device) -> Network:
    torch.manual_seed(0)
    size = params.decode.height, params.decode.width
    return Network(params.model, params.clip.frames, *size, IDENTITIES).to(device)


def ours(
    params: Params, store: Store, device: torch.device, timing: Timing, precision: str, compiled: bool
) -> Cost:
    """Our step, as in `sttreid.training.loop`."""
    network = network_of(params, device)
    compute = replace(params.compute, precision=precision)
    step: nn.Module = Step(network, params.loss, compute, SINGLE.gather)
    if compiled:
        step.compile()
    optimiser = build_optimiser(network, params.finetune)
    cuda = device.type == "cuda"
    split = store.of_split("train")
    reader = BatchReader(store, split, params.batch, slice(None), params.clip.frames, params.augment, 0)
    batches = reader.steps(0, timing.total, WORKERS if cuda else 0, cuda)
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
        return timed(train, batches, timing, params, network, device, precision)


def usual(
    params: Params, folder: Path, store: Store, device: torch.device, timing: Timing, workers: int
) -> Cost:
    """The same network and losses in the usual loop of this field."""
    network = network_of(params, device)
    network.backbone.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    network.backbone.register_forward_pre_hook(lambda _, given: given[0].contiguous())
    model = nn.DataParallel(network) if device.type == "cuda" else network
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-4, weight_decay=5e-4, foreach=False)
    split, size = store.of_split("train"), params.batch
    rows = [plan(split, size.identities, size.clips, 0, step) for step in range(timing.total)]
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

    return timed(train, iter(batches), timing, params, network, device, "fp32")


def timed(
    train: Callable[[Any], None],
    batches: Iterator[Any],
    timing: Timing,
    params: Params,
    network: Network,
    device: torch.device,
    precision: str,
) -> Cost:
    """Warm up, then time."""
    cuda = device.type == "cuda"
    for _ in range(timing.warm_up):
        train(next(batches))
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    waited, start = 0.0, timing.clock()
    for _ in range(timing.steps):
        before = timing.clock()
        batch = next(batches)
        waited += timing.clock() - before
        train(batch)
    if cuda:
        torch.cuda.synchronize()
    seconds = timing.clock() - start
    clips = timing.steps * params.batch.identities * params.batch.clips
    if not cuda:
        return Cost(clips / seconds, waited / seconds, float("nan"), float("nan"))
    needed = 3 * sum(operations(params, network, device).values()) * clips / product_speed(device, precision)
    memory = torch.cuda.max_memory_allocated() / 2**30
    return Cost(clips / seconds, waited / seconds, memory, needed / seconds)


def operations(params: Params, network: Network, device: torch.device) -> dict[str, float]:
    """Floating-point operations of one clip's forward pass: in the backbone, and in all after it."""
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
    """Operations per second of a large square matrix product."""
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


def parts(
    params: Params, store: Store, device: torch.device, timing: Timing, precision: str
) -> dict[str, float]:
    """Share of a step's time in each part, with the device synchronised between them."""
    network = network_of(params, device).train()
    step = Step(network, params.loss, replace(params.compute, precision=precision), SINGLE.gather)
    optimiser = build_optimiser(network, params.finetune)
    split = store.of_split("train")
    reader = BatchReader(store, split, params.batch, slice(None), params.clip.frames, params.augment, 0)
    seconds: dict[str, float] = {}

    @contextmanager
    def part(name: str, counts: bool) -> Iterator[None]:
        stop(device)
        start = timing.clock()
        yield
        stop(device)
        if counts:
            seconds[name] = seconds.get(name, 0.0) + timing.clock() - start

    counts, forward = False, network.backbone.forward

    def backbone(x: Tensor) -> Tensor:
        with part("backbone", counts):
            return forward(x)

    network.backbone.forward = backbone  # type: ignore[method-assign]
    batches = reader.steps(0, timing.total, 0)
    for number in range(timing.total):
        counts = number >= timing.warm_up
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
    seconds["forward, after the backbone"] = seconds.pop("forward") - seconds["backbone"]
    seconds["forward, backbone"] = seconds.pop("backbone")
    whole = sum(seconds.values())
    return {name: value / whole for name, value in sorted(seconds.items())}


def stop(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def parameters(profile: str, identities: int | None, clips: int | None) -> Params:
    """params.yaml with a profile's overrides, and other sizes of a batch."""
    lines = Path(f"profiles/{profile}.txt").read_text().splitlines() if profile else []
    values = dict(line.split("=", 1) for line in lines if line.strip() and not line.startswith("#"))
    values |= {"batch.identities": str(identities)} if identities else {}
    values |= {"batch.clips": str(clips)} if clips else {}
    return override(values)


def override(values: Mapping[str, str]) -> Params:
    """params.yaml with other values: dotted key -> YAML."""
    content = yaml.safe_load(Path("params.yaml").read_text())
    for key, value in values.items():
        *sections, last = key.split(".")
        section = content
        for name in sections:
            section = section[name]
        section[last] = yaml.safe_load(value)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return load(path)


def report(params: Params, device: torch.device, steps: int, workers: int, compiled: bool) -> str:
    """The costs as Markdown."""
    decode, batch = params.decode, params.batch
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    sizes = f"{decode.height}x{decode.width}, T = {params.clip.frames}, {batch.identities} x {batch.clips}"
    setup = f"{name}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    lines = [f"{setup}; {sizes}; {steps} steps", ""]
    lines.append("| step | clips/s | ratio | data wait | peak GiB | of a product's speed |")
    lines.append("|:--|--:|--:|--:|--:|--:|")
    cases = [("fp32", "fp32", False), ("bf16", "bf16", False)]
    cases += [("bf16, compiled", "bf16", True)] if compiled else []
    with tempfile.TemporaryDirectory() as folder:
        store = random_images(Path(folder), decode.height, decode.width)
        base = usual(params, Path(folder), store, device, Timing(steps), workers)
        costs = {"usual": base}
        for title, precision, compile_it in cases:
            costs[title] = ours(params, store, device, Timing(steps), precision, compile_it)
        shares = {kind: parts(params, store, device, Timing(steps), kind) for kind in ("fp32", "bf16")}
    for title, cost in costs.items():
        numbers = f"{cost.clips:.3g} | {cost.clips / base.clips:.2f} | {cost.wait:.1%}"
        lines.append(f"| {title} | {numbers} | {cost.memory:.2f} | {cost.busy:.0%} |".replace("nan%", "-"))
    lines = [line.replace("| nan |", "| - |") for line in lines]
    lines += ["", "| share of the step | " + " | ".join(shares["fp32"]) + " |"]
    lines.append("|:--" + "|--:" * len(shares["fp32"]) + "|")
    for kind, parts_of in shares.items():
        lines.append(f"| {kind} | " + " | ".join(f"{share:.1%}" for share in parts_of.values()) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="", help="of profiles/, without the suffix")
    parser.add_argument("--identities", type=int, help="P")
    parser.add_argument("--clips", type=int, help="K")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=0, help="DataLoader processes of the usual step")
    parser.add_argument("--compile", action="store_true", help="also on a CPU")
    given = parser.parse_args(arguments)
    params = parameters(given.profile, given.identities, given.clips)
    device = numerics.prepare(params.compute.threads, numerics.current())
    compiled = given.compile or device.type == "cuda"
    print(report(params, device, given.steps, given.workers, compiled))


if __name__ == "__main__":
    main()
