"""params.yaml as frozen, typed dataclasses: values live there and nowhere else, so no field has a default.

Every stage declares the sections that it reads in the signature of its ``main`` (a parameter's name is the
section's name); :func:`run` loads, checks and hands over exactly those. Values are converted by field type,
because ``dvc exp run -S finetune.lr=0.00001`` writes ``1e-05``, which YAML 1.1 reads as text.
"""

import inspect
import os
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from sttreid.config import paths
from sttreid.config.claims import Claims
from sttreid.config.conversion import hint, parse
from sttreid.config.datasets import Compare, Dataset, Decode, check_variables
from sttreid.config.domain import Domain, Scale
from sttreid.runtime.errors import DivergedError, InputError

PARAMS = Path("params.yaml")
CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


@dataclass(frozen=True, config=CONFIG)
class Simulate(Scale):
    """The synthetic pre-training set: how much of which domain."""

    domain: Name


@dataclass(frozen=True, config=CONFIG)
class Benchmark(Scale):
    """The pinned target sets: their size, and the name under which their bytes never change."""

    version: Name


@dataclass(frozen=True, config=CONFIG)
class Clip:
    """How many frames of a tracklet the network sees at once (T)."""

    frames: Count


@dataclass(frozen=True, config=CONFIG)
class Augment:
    """Clip-consistent augmentation; probabilities, pixels and spreads."""

    flip: Share
    pad: Whole
    brightness: Weight
    contrast: Weight
    saturation: Weight
    white_balance: Weight
    gamma: Weight
    erase: Share
    erase_area_low: Share
    erase_area_high: Share
    erase_aspect: Annotated[float, Field(ge=1)]


@dataclass(frozen=True, config=CONFIG)
class Batch:
    """P identities x K clips a step."""

    identities: Annotated[int, Field(ge=2)]
    clips: Annotated[int, Field(ge=2)]


@dataclass(frozen=True, config=CONFIG)
class Backbone:
    """ResNet up to its third stage; ResNet-50 is width 64 with 3, 4 and 6 blocks."""

    width: Count
    layer1: Count
    layer2: Count
    layer3: Count
    last_stride: Literal[1, 2]
    weights: str | None


@dataclass(frozen=True, config=CONFIG)
class Model:
    """The network; every branch can be switched off."""

    standardise: bool
    stt: bool
    gt: bool
    width: Count
    heads: Count
    spatial_layers: Count
    temporal_layers: Count
    global_layers: Count
    mlp_ratio: Positive
    dropout: Share
    parts: Count
    backbone: Backbone


@dataclass(frozen=True, config=CONFIG)
class Loss:
    """Weights of the loss terms, and their constants."""

    identity: Weight
    triplet: Weight
    spatial: Weight
    spatial_part: Weight
    frame_triplet: Weight
    entropy: Weight
    global_identity: Weight
    global_triplet: Weight
    label_smoothing: Share
    margin: Positive | None
    entropy_threshold: Share


@dataclass(frozen=True, config=CONFIG)
class Schedule:
    """One training run's optimiser and length, and how many of the training identities it learns (None: all)."""

    steps: Count
    identities: Count | None
    lr: Positive
    backbone_lr: Positive
    warmup: Whole
    weight_decay: Weight
    max_grad_norm: Positive
    eval_every: Count


@dataclass(frozen=True, config=CONFIG)
class Pretrain(Schedule):
    """Training on the synthetic set; 0 steps leave it out."""

    steps: Whole


@dataclass(frozen=True, config=CONFIG)
class Finetune(Schedule):
    """Training on a target set."""


@dataclass(frozen=True, config=CONFIG)
class Rerank:
    """Re-ranking by k-reciprocal encoding; the numbers then go by another protocol's name."""

    enabled: bool
    k1: Count
    k2: Count
    weight: Share


@dataclass(frozen=True, config=CONFIG)
class ResolvedEvaluate:
    """How features of one target are compared.

    Attributes:
        protocol: its name.
        rerank: whether and how distances are re-ranked.
    """

    protocol: Name
    rerank: Rerank


@dataclass(frozen=True, config=CONFIG)
class Evaluate:
    """How features are compared.

    Attributes:
        protocol: of all targets; None: each target's own.
        rerank: whether and how distances are re-ranked.
    """

    protocol: Name | None
    rerank: Rerank

    def of(self, target: Dataset) -> ResolvedEvaluate:
        """The same for one target, with its protocol by name."""
        return ResolvedEvaluate(self.protocol or target.rules, self.rerank)


@dataclass(frozen=True, config=CONFIG)
class Compute:
    """Settings that belong to the machine but change the last bits of results, and are therefore tracked."""

    threads: Count
    embed_batch: Count
    precision: Literal["fp32", "bf16"]
    sync_batch_norm: bool


@dataclass(frozen=True, config=CONFIG)
class Ablation:
    """The ablation: its training set, its cells (name -> overrides of the other sections).

    Attributes:
        source: trained on this.
        fitted: rank-1 on its training identities (0 to 1) below which an arm is not comparable.
        reuse: the fine-tuned model stands for the cell that equals the defaults.
        tested: cells are tested; a search for rates must not see the test.
        scratch: schedule of the cells without synthetic pre-training.
        trials: name -> overrides that are laid over every variant in turn; none: the variants as they are.
        variants: name -> overrides.
    """

    source: Name
    fitted: Share
    reuse: bool
    tested: bool
    scratch: Schedule
    trials: dict[Name, dict[str, Any]]
    variants: dict[Name, dict[str, Any]]


@dataclass(frozen=True, config=CONFIG)
class Picture:
    """What the report shows of the networks: whose attention, how many tracklets, lists and points."""

    left: Name
    right: Name
    tracklets: Count
    failures: Count
    samples: Whole
    answers: Count
    frames: Count
    height: Count
    points: Annotated[int, Field(ge=4)]
    perplexity: Positive
    seed: Whole


@dataclass(frozen=True, config=CONFIG)
class Params:
    """The whole of params.yaml."""

    datasets: dict[Name, Dataset]
    simulate: Simulate
    decode: Decode
    compare: Compare
    clip: Clip
    augment: Augment
    batch: Batch
    model: Model
    loss: Loss
    pretrain: Pretrain
    finetune: Finetune
    evaluate: Evaluate
    compute: Compute
    ablation: Ablation
    picture: Picture
    claims: Claims
    benchmark: Benchmark
    domains: dict[Name, Domain]
    seeds: list[Whole]
    targets: list[Name]


def load(path: Path = PARAMS) -> Params:
    """Read and check a parameter file.

    That of a study (:func:`sttreid.config.paths.home`) holds the sections of which it has its own; the others are
    those of the default run.

    Raises:
        InputError: the file is missing or is no YAML, a key is unknown or missing, or a value breaks its
            field's rule.
    """
    content = _content(path)
    if paths.home() != Path() and isinstance(content, dict):
        content = _content(paths.home() / PARAMS) | content
    params = parse(Params, content, str(path))
    _check_names(params, path)
    check_variables(path, params.datasets)
    return params


def _content(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_bytes())  # bytes, so that a wrong encoding is a YAML error too
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: is not valid YAML ({' '.join(str(error).split())})") from error


def run(main: Callable[..., None], arguments: list[str] | None = None) -> None:
    """Call a stage's ``main``: sections come from params.yaml by name, the rest from the command line.

    Input errors end the process with status 1 and one sentence on stderr, before any output is replaced.
    At the end stderr says what the stage has cost.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    start = time.monotonic()
    try:
        params = load()
        main(**bind(main, params, list(words)))
    except (InputError, DivergedError) as error:
        sys.exit(f"error: {error}")
    name = " ".join((Path(inspect.getfile(main)).stem, *words))
    seconds = sum(os.times()[:4])  # of this process, its imports and its workers
    print(f"{name}: {seconds:.0f} CPU seconds, {time.monotonic() - start:.0f} seconds", file=sys.stderr)


def bind(main: Callable[..., None], params: Params, words: list[str]) -> dict[str, object]:
    """The keyword arguments of a stage's ``main``."""
    sections = {field.name for field in fields(Params)}
    stage = f"stage {Path(inspect.getfile(main)).stem}"  # main's __module__ is only "__main__"
    given: dict[str, object] = {}
    for name, parameter in inspect.signature(main).parameters.items():
        if name in sections:
            given[name] = getattr(params, name)
        elif words:
            given[name] = parse(parameter.annotation, words.pop(0), f"{stage}: the argument {name}")
        else:
            raise InputError(f"{stage}: the argument {name!r} is missing on the command line")
    if words:
        raise InputError(f"{stage}: unexpected arguments {' '.join(words)!r}")
    return given


def _check_names(params: Params, path: Path) -> None:
    """Names that refer to other names must exist."""
    datasets, domains = list(params.datasets), list(params.domains)
    variants, picture = list(params.ablation.variants), params.picture
    pictured = (("picture.left", picture.left, variants), ("picture.right", picture.right, variants))
    for key, name, known in (
        *((f"targets.{i}", target, datasets) for i, target in enumerate(params.targets)),
        ("ablation.source", params.ablation.source, params.targets),
        *(() if paths.home() != Path() else pictured),  # a study makes no pictures
        ("simulate.domain", params.simulate.domain, domains),
        ("simulate.domain", params.simulate.domain, datasets),
    ):
        if name not in known:
            rule = f"{key} must be one of {', '.join(known)}"
            raise InputError(f"{path}: {rule}, got {name!r}{hint(name, known)}")
    for key, values in (("seeds", params.seeds), ("targets", params.targets)):
        if not values or len(set(values)) < len(values):
            raise InputError(f"{path}: {key} must be a non-empty list without repetition, got {values}")
    if params.pretrain.steps == 0:
        raise InputError(f"{path}: pretrain.steps must be at least 1 outside ablation.variants, got 0")
    if params.simulate.domain in params.targets:
        raise InputError(
            f"{path}: simulate.domain must not be one of the targets, got {params.simulate.domain!r}"
        )
