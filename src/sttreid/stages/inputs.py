"""What the stages of a study read: the ablation's results and training histories, and another study's."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from sttreid.analysis.result_files import read_history, read_queries, read_result
from sttreid.analysis.study_runs import PRETRAINED, TRAINED, UNTRAINED, Run, protocol_names, runs_of
from sttreid.config import paths
from sttreid.config.params import Ablation
from sttreid.config.study import BESIDE, Beside


def ablation_runs(
    ablation: Ablation,
    synthetic: str,
    targets: Sequence[str],
    seeds: Sequence[int],
    beside: Beside | None = None,
) -> tuple[list[Run], dict[str, str]]:
    """Every variant with every seed, then those of another study, the reference last; and each target's
    protocol.

    Variants and seeds are those of params.yaml; results of earlier runs are not read.

    Raises:
        InputError: results are missing, or do not follow one protocol on the same data.
    """
    runs, results = [], []
    for seed in seeds:
        sources: list[tuple[Path, Iterable[str]]] = [(paths.ARTIFACTS, ablation.variants)]
        sources += [(Path(BESIDE) / beside.study, beside.variants)] if beside is not None else []
        for folder, variants in sources:
            result = read_result(paths.result("ablation", seed, folder))
            results.append(result)
            queries = read_queries(paths.queries("ablation", seed, folder), "variants")
            for variant in variants:
                moments = dict(iter(queries[queries["variant"] == variant].groupby("moment")))
                steps = result["variants"].get(variant, {}).get("pretrain_steps", 0)
                rows = read_history(paths.history("ablation", seed, variant, folder))
                runs += runs_of(variant, seed, steps, moments, rows)
        if ablation.reference is not None:
            results.append(read_result(paths.result("cross_domain", seed)))
            runs += _reference_runs(ablation.reference, ablation.source, synthetic, seed)
    return runs, protocol_names(results, targets)


def history(group: paths.Group, seed: int, name: str) -> pd.DataFrame:
    """A training history."""
    return read_history(paths.history(group, seed, name))


def _reference_runs(name: str, source: str, synthetic: str, seed: int) -> list[Run]:
    """The default run's models of the source, of the synthetic set and without training, as a variant."""
    queries = read_queries(paths.queries("cross_domain", seed), "sources")
    models = {TRAINED: source, PRETRAINED: synthetic, UNTRAINED: "untrained"}
    moments = {moment: queries[queries["source"] == model] for moment, model in models.items()}
    steps = int(history("cross_domain", seed, synthetic)["step"].iloc[-1])
    return runs_of(name, seed, steps, moments, history("cross_domain", seed, source))
