"""Paths of all artifacts; only stages use them, library code receives paths as arguments.

``data/`` belongs to data.dvc, so every stage writes below ``artifacts/`` (cached by DVC, ignored by git) or
``metrics/`` (small, in git). A stage that needs all models of a seed depends on their folder.

There are two groups of models: ``cross_domain``, the default run's model of each data set, and ``ablation``,
the variants.
"""

import os
from pathlib import Path
from typing import Literal

ARTIFACTS = Path("artifacts")
METRICS = Path("metrics")
PUBLICATION = Path("publication")

Group = Literal["cross_domain", "ablation"]


def home() -> Path:
    """The folder of the default run: the working directory, or the one that ``STTREID_HOME`` names.

    A study runs in a separate folder. It shares the tracklet stores of the default run.
    """
    return Path(os.environ.get("STTREID_HOME") or ".")


def publication() -> Path:
    """Folder of small results: ``metrics`` of the default run, ``publication`` of a study."""
    return METRICS if home() == Path() else PUBLICATION


def videos(domain: str) -> Path:
    """Folder of rendered camera videos with their tracks (c1.mp4, c1.txt, ..., manifest.json)."""
    return ARTIFACTS / "videos" / domain


def tracklets(dataset: str) -> Path:
    """Folder of a tracklet store (:mod:`sttreid.tracklets.store`)."""
    return home() / ARTIFACTS / "tracklets" / dataset


def views(dataset: str) -> Path:
    """Viewing angles of the tracklets of a rendered set (:mod:`sttreid.data.views`)."""
    return home() / ARTIFACTS / "views" / f"{dataset}.parquet"


def skipped(dataset: str) -> Path:
    """What ``decode`` skipped, with the reasons."""
    return METRICS / "skipped" / f"{dataset}.json"


def variant_config(variant: str, seed: int) -> Path:
    """The resolved configuration of an ablation variant."""
    return ARTIFACTS / "configs" / "variants" / f"{variant}-{seed}.json"


def evaluation_config() -> Path:
    """How every model is tested on every target."""
    return ARTIFACTS / "configs" / "evaluation.json"


def model(group: Group, seed: int, name: str) -> Path:
    """Weights of a model after its training."""
    return ARTIFACTS / "models" / group / str(seed) / _trained(group, name, ".pt")


def pretrained(variant: str, seed: int) -> Path:
    """Weights of an ablation variant after its synthetic pre-training, where it has one."""
    return model("ablation", seed, variant).with_name("pretrained.pt")


def backbone(seed: int) -> Path:
    """The backbone that every variant of a seed starts from, where a study has one; its history is beside."""
    return ARTIFACTS / "backbones" / str(seed) / "backbone.pt"


def history(group: Group, seed: int, name: str, folder: Path = ARTIFACTS) -> Path:
    """One row per training step: lr, loss terms, gradient norm, and rank-1 where it was measured."""
    return folder / "history" / group / str(seed) / _trained(group, name, ".tsv")


def pretraining_history(variant: str, seed: int) -> Path:
    """The same of an ablation variant's synthetic pre-training, where it has one."""
    return history("ablation", seed, variant).with_name("pretrained.tsv")


def curve(group: Group, seed: int, name: str) -> Path:
    """The history in at most 200 rows, for plots; it grows while the model trains."""
    folder = {"cross_domain": "training", "ablation": "ablation_training"}[group]
    return METRICS / "plots" / folder / f"{name}-{seed}.tsv"


def _trained(group: Group, name: str, suffix: str) -> Path:
    """A folder per variant, because DVC's outputs are fixed and only some variants are pre-trained."""
    return Path(f"{name}{suffix}") if group == "cross_domain" else Path(name, f"trained{suffix}")


def result(group: Group, seed: int, folder: Path = ARTIFACTS) -> Path:
    """Metrics of every model of a group and seed on every target."""
    return folder / "results" / group / f"{seed}.json"


def queries(group: Group, seed: int, folder: Path = ARTIFACTS) -> Path:
    """The same, one row per query."""
    return folder / "results" / group / f"{seed}.parquet"


def training_accuracies(seed: int) -> Path:
    """Rank-1 of each variant of a learning curve on the training identities that all its points share."""
    return ARTIFACTS / "results" / "training" / f"{seed}.json"


def machine(stage: str, *words: object) -> Path:
    """The machine on which a stage trained or tested; apart from its results, which are equal on others."""
    return ARTIFACTS / "machines" / f"{'-'.join((stage, *map(str, words)))}.json"


def visual(table: str) -> Path:
    """One table of what the report shows of the networks."""
    return ARTIFACTS / "visuals" / f"{table}.parquet"


def scratch(stage: str) -> Path:
    """Cost of a stage; checkpoints, log and post-mortems of a training: unknown to DVC and to git.

    ``STTREID_SCRATCH`` replaces ``.scratch``: an absolute path outlives the temporary folders in which DVC
    runs experiments.
    """
    return Path(os.environ.get("STTREID_SCRATCH") or ".scratch") / stage
