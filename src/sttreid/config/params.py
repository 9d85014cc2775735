"""params.yaml as frozen, typed dataclasses.

Values are converted by field type, because ``dvc exp run -S finetune.lr=0.00001`` writes ``1e-05``, which
YAML 1.1 reads as text. A field with a default may be left out of params.yaml or of a resolved variant
(:mod:`sttreid.config.variants`); all other values live in params.yaml alone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from sttreid.config.bounds import LARGEST, Count, Frames, Layers, Seed, Threads, Whole
from sttreid.config.claims import Claims
from sttreid.config.conversion import dump, hint, parse, read_mapping, read_yaml
from sttreid.config.datasets import Compare, Dataset, Decode, check_root_variables
from sttreid.config.domain import Scale
from sttreid.config.evaluation import Evaluate
from sttreid.config.former_names import RENAMED
from sttreid.config.study import Study
from sttreid.config.visualise import Visualise
from sttreid.runtime.errors import InputError
from sttreid.runtime.numerics import NumericPath

PARAMS = Path("params.yaml")
CLAIMS = Path("experiments/claims/params.yaml")
CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


@dataclass(frozen=True, config=CONFIG)
class Simulate(Scale):
    """The synthetic pre-training set: its domain and size."""

    domain: Name


@dataclass(frozen=True, config=CONFIG)
class Clip:
    """Number of frames that the network sees at once (T)."""

    frames: Frames


@dataclass(frozen=True, config=CONFIG)
class Augment:
    """Augmentation, the same for all frames of a clip; probabilities, pixels and spreads."""

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
    """P identities x K clips per step."""

    identities: Annotated[int, Field(ge=2, le=LARGEST)]
    clips: Annotated[int, Field(ge=2, le=LARGEST)]


@dataclass(frozen=True, config=CONFIG)
class Backbone:
    """ResNet up to its third stage; ResNet-50 has width 64 and 3, 4 and 6 blocks."""

    width: Count
    layer1: Layers
    layer2: Layers
    layer3: Layers
    last_stride: Literal[1, 2]
    weights: Annotated[str, Field(min_length=1)] | None


@dataclass(frozen=True, config=CONFIG)
class Model:
    """The network. Fields with a default belong to branches, which can be switched off.

    With ``no_positions`` the transformers have no position embeddings.
    """

    standardise: bool
    stt: bool
    gt: bool
    backbone: Backbone
    width: Count = 128
    heads: Count = 4
    spatial_layers: Layers = 1
    temporal_layers: Layers = 1
    global_layers: Layers = 1
    mlp_ratio: Positive = 2.0
    dropout: Share = 0.0
    parts: Layers = 4
    no_positions: bool = Field(default=False, exclude_if=lambda on: not on)


@dataclass(frozen=True, config=CONFIG)
class Loss:
    """Weights of the loss terms (a term that is left out is off), and their constants.

    ``entropy_all_rows``: L_tem_attn reads the rows of all tokens of TT, not the class token's alone.
    Files leave out a key of this section or of ``Model`` where it is off, as in earlier versions.
    """

    label_smoothing: Share
    margin: Positive | None
    identity: Weight = 0.0
    triplet: Weight = 0.0
    spatial: Weight = 0.0
    spatial_part: Weight = 0.0
    frame_triplet: Weight = 0.0
    entropy: Weight = 0.0
    global_identity: Weight = 0.0
    global_triplet: Weight = 0.0
    entropy_threshold: Share = 0.0
    entropy_all_rows: bool = Field(default=False, exclude_if=lambda on: not on)


@dataclass(frozen=True, config=CONFIG)
class Schedule:
    """Optimiser and length of one training run: ``pretrain`` on the synthetic set, ``finetune`` on a target.

    Attributes:
        steps: number of updates.
        identities: number of training identities; None: all.
        lr: peak learning rate.
        backbone_lr: peak learning rate of the backbone.
        warmup: steps of the linear warm-up.
        weight_decay: of AdamW.
        max_grad_norm: gradients are clipped to this norm.
        eval_every: steps between two measurements of rank-1 on training and validation identities.
        start_weight: share of the starting weights in the final ones; the trained weights have the rest.
    """

    steps: Count
    identities: Count | None
    lr: Positive
    backbone_lr: Positive
    warmup: Whole
    weight_decay: Weight
    max_grad_norm: Positive
    eval_every: Count
    start_weight: Share = 0.0


@dataclass(frozen=True, config=CONFIG)
class Start:
    """The backbone that every variant of a study starts from, trained to classify single images.

    The variants load it by ``model.backbone.weights``, artifacts/backbones/{seed}/backbone.pt.

    Attributes:
        dataset: that it is trained on; no variant is trained or tested on it.
        batch: identities and images of each in a batch.
        schedule: of its training.
    """

    dataset: Name
    batch: Batch
    schedule: Schedule


@dataclass(frozen=True, config=CONFIG)
class Compute:
    """Machine settings that change the last bits of results and are therefore tracked."""

    numerics: NumericPath
    threads: Threads
    embed_batch: Count
    precision: Literal["fp32", "bf16"]
    sync_batch_norm: bool


@dataclass(frozen=True, config=CONFIG)
class Ablation:
    """The ablation: variants of the network, trained on one data set.

    Attributes:
        source: data set that every variant trains on.
        in_domain: target of the source's domain, where the source of a study has no test split; None: the
            source itself.
        min_train_rank1: a variant with a lower rank-1 on its training identities (0 to 1) is not comparable.
        reference: name of the default run's fine-tuned model among the variants; None: it is none of them.
        scratch: schedule of the variants without synthetic pre-training.
        variants: name -> overrides of the sections clip ... finetune and compute; a ``pretrain`` of None
            switches the synthetic pre-training off.
    """

    source: Name
    min_train_rank1: Share
    reference: Name | None
    scratch: Schedule
    variants: dict[Name, dict[str, Any]]
    in_domain: Name | None = None

    @property
    def home_target(self) -> str:
        """The target on which a variant is tested in-domain."""
        return self.in_domain or self.source


@dataclass(frozen=True, config=CONFIG)
class Params:
    """The whole of params.yaml; only studies have the sections from ``claims`` on.

    ``rendered`` has the sets that a study renders: name -> overrides of the section ``simulate``.
    """

    datasets: dict[Name, Dataset]
    simulate: Simulate
    decode: Decode
    compare: Compare
    clip: Clip
    augment: Augment
    batch: Batch
    model: Model
    loss: Loss
    pretrain: Schedule
    finetune: Schedule
    evaluate: Evaluate
    compute: Compute
    ablation: Ablation
    visualise: Visualise
    seeds: list[Seed]
    targets: list[Name]
    claims: Claims | None = None
    study: Study | None = None
    start: Start | None = None
    rendered: dict[Name, dict[str, Any]] = Field(default_factory=dict)


def rendered_set(
    rendered: Mapping[str, Mapping[str, Any]], simulate: Mapping[str, Any], name: str, path: Path
) -> Simulate:
    """Domain and size of a set of the section ``rendered``.

    Args:
        rendered: the section.
        simulate: the section whose values the set overrides.
        name: of the set.
        path: of the parameter file, for errors.

    Raises:
        InputError: there is no such set, a key is unknown, or a value breaks its field's rule.
    """
    if name not in rendered:
        rule = f"rendered must have the set {name}, and has {', '.join(rendered) or 'none'}"
        raise InputError(f"{path}: {rule}{hint(name, list(rendered))}")
    return parse(Simulate, {**simulate, **rendered[name]}, f"{path}: rendered.{name}", RENAMED)


def load(path: Path = PARAMS) -> Params:
    """Read and check a parameter file.

    Where it has no section ``claims``, the contrasts are those of experiments/claims.

    Raises:
        InputError: the file is missing or not YAML, a key is unknown or missing, or a value breaks its
            field's rule.
    """
    content, claims = read_yaml(path), path.parent / CLAIMS
    if isinstance(content, dict) and "claims" not in content and claims.exists():
        content = {**content, "claims": read_mapping(claims).get("claims")}
    return build(content, path)


def build(content: object, path: Path) -> Params:
    """Check the content of a parameter file.

    Raises:
        InputError: as :func:`load`; the error names ``path``.
    """
    params = parse(Params, content, str(path), RENAMED)
    for name in params.rendered:
        rendered_set(params.rendered, dump(params.simulate), name, path)
    _check_names(params, path)
    check_root_variables(path, params.datasets)
    return params


def _check_names(params: Params, path: Path) -> None:
    """Check that every name that refers to another one exists."""
    datasets, ablation = list(params.datasets), params.ablation
    references = [(f"targets.{i}", target, datasets) for i, target in enumerate(params.targets)]
    references.append(
        ("ablation.source", ablation.source, datasets if ablation.in_domain else params.targets)
    )
    if ablation.in_domain:
        references.append(("ablation.in_domain", ablation.in_domain, params.targets))
    if params.start:
        used = {params.simulate.domain, ablation.source, *params.targets}
        references.append(("start.dataset", params.start.dataset, [n for n in datasets if n not in used]))
    references.append(("simulate.domain", params.simulate.domain, datasets))
    if params.study is None:  # a study visualises nothing
        variants = [*ablation.variants, *filter(None, [ablation.reference])]
        shown = enumerate(params.visualise.variants)
        references += [(f"visualise.variants.{i}", variant, variants) for i, variant in shown]
    for key, name, names in references:
        if name not in names:
            rule = f"{key} must be one of {', '.join(names)}"
            raise InputError(f"{path}: {rule}, got {name!r}{hint(name, names)}")
    for key, values in (("seeds", params.seeds), ("targets", params.targets)):
        if not values or len(set(values)) < len(values):
            raise InputError(f"{path}: {key} must be a non-empty list without repetition, got {values}")
    if params.simulate.domain in params.targets:
        rule = "simulate.domain must not be one of the targets"
        raise InputError(f"{path}: {rule}, got {params.simulate.domain!r}")
    if ablation.in_domain and params.study is None:
        rule = "ablation.in_domain must be empty outside of studies"
        raise InputError(f"{path}: {rule}, got {ablation.in_domain!r}")
    if ablation.reference in ablation.variants:
        rule = "ablation.reference must not be one of ablation.variants"
        raise InputError(f"{path}: {rule}, got {ablation.reference!r}")
