"""Where each artifact lies; only stages use these, library code is handed its paths.

``data/`` belongs to data.dvc, so everything that a stage writes lies under ``artifacts/`` (cached by DVC,
ignored by git) or ``metrics/`` (small, in git). A folder is what a later stage waits for: all models of a
seed, all results.
"""

import os
from pathlib import Path

ARTIFACTS = Path("artifacts")
METRICS = Path("metrics")


def home() -> Path:
    """The folder of the default run: the working directory, or what ``STTREID_HOME`` names.

    A study, ``experiments/NAME``, works in its own folder, so that all it trains lies apart; its dvc.yaml
    sets the variable, through which it finds the decoded tracklets and ``metrics/``.
    """
    return Path(os.environ.get("STTREID_HOME") or ".")


def metrics() -> Path:
    """Small results, in git: ``metrics``, or ``metrics/NAME`` for the study of that name."""
    return METRICS if home() == Path() else home() / METRICS / Path.cwd().name


def videos(domain: str) -> Path:
    """Folder of rendered camera videos with their tracks (c1.mp4, c1.txt, ..., manifest.json)."""
    return ARTIFACTS / "videos" / domain


def tracklets(dataset: str) -> Path:
    """Folder of a tracklet store (:mod:`sttreid.tracklets.store`); studies share those of the default run."""
    return home() / ARTIFACTS / "tracklets" / dataset


def views(dataset: str) -> Path:
    """From which side the tracklets of a rendered set are seen (:mod:`sttreid.data.views`)."""
    return home() / ARTIFACTS / "views" / f"{dataset}.parquet"


def skipped(dataset: str) -> Path:
    """What ``decode`` left out of a tracklet store, with the reasons."""
    return METRICS / "skipped" / f"{dataset}.json"


def model(source: str, seed: int) -> Path:
    """Weights after training on ``source``."""
    return ARTIFACTS / "models" / str(seed) / f"{source}.pt"


def history(source: str, seed: int) -> Path:
    """One row a training step: rate, loss terms, gradient norm, accuracy where it was looked at."""
    return ARTIFACTS / "history" / str(seed) / f"{source}.tsv"


def cross_result(seed: int) -> Path:
    """The cross-domain matrix of one seed."""
    return ARTIFACTS / "results" / "cross_domain" / f"{seed}.json"


def cross_queries(seed: int) -> Path:
    """The same, one row a query."""
    return ARTIFACTS / "results" / "cross_domain" / f"{seed}.parquet"


def cell_config(variant: str, seed: int) -> Path:
    """The resolved configuration of one ablation cell."""
    return ARTIFACTS / "configs" / f"{variant}-{seed}.json"


def cell_result(variant: str, seed: int) -> Path:
    """The accuracies of one ablation cell."""
    return ARTIFACTS / "results" / "ablation" / f"{variant}-{seed}.json"


def cell_queries(variant: str, seed: int) -> Path:
    """The same, one row a query and moment; without a row where the fine-tuned model stands for the cell."""
    return ARTIFACTS / "results" / "ablation" / f"{variant}-{seed}.parquet"


def cell_model(variant: str, seed: int) -> Path:
    """Weights of one ablation cell; empty where the fine-tuned model stands for the cell."""
    return ARTIFACTS / "models" / "ablation" / f"{variant}-{seed}.pt"


def cell_history(variant: str, seed: int) -> Path:
    """The history of one ablation cell."""
    return ARTIFACTS / "history" / "ablation" / f"{variant}-{seed}.tsv"


def picture(table: str) -> Path:
    """One table of what the report shows of the networks: frames, patches, lists, maps or strips."""
    return ARTIFACTS / "pictures" / f"{table}.parquet"


def scratch(stage: str) -> Path:
    """Checkpoints, log and post-mortems of a training stage: unknown to DVC and to git.

    ``STTREID_SCRATCH`` names another folder than ``.scratch``: one with an absolute path lives on where DVC
    runs experiments in temporary folders.
    """
    return Path(os.environ.get("STTREID_SCRATCH") or ".scratch") / stage
