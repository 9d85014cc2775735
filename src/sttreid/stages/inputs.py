"""What stages after the evaluation read: the ablation's results and training histories."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sttreid.analysis.study import Run, runs_of
from sttreid.config import paths
from sttreid.config.params import Ablation
from sttreid.report import results
from sttreid.runtime.files import read_json, read_table


def variant_names(ablation: Ablation) -> list[str]:
    """The variants of the ablation table; the reference, if there is one, comes first."""
    return [*([ablation.reference] if ablation.reference else []), *ablation.variants]


def variant_history(ablation: Ablation, variant: str, seed: int) -> pd.DataFrame:
    """Training history of a variant on the source."""
    if variant == ablation.reference:
        return pd.read_csv(paths.history("cross_domain", seed, ablation.source), sep="\t")
    return pd.read_csv(paths.history("ablation", seed, variant), sep="\t")


def ablation_result(
    ablation: Ablation, synthetic: str, seed: int, composition: Sequence[str] = ()
) -> tuple[Mapping[str, Any], pd.DataFrame]:
    """The ablation result of one seed and its per-query results, with the reference as one more variant.

    Args:
        ablation: its source and reference.
        synthetic: data set of the pre-training.
        seed: of the result.
        composition: of the reference, in words.
    """
    own = read_json(paths.result("ablation", seed)), read_table(paths.queries("ablation", seed))
    if ablation.reference is None:
        return own
    pretraining = pd.read_csv(paths.history("cross_domain", seed, synthetic), sep="\t")
    reference = {
        "source": ablation.source,
        "composition": list(composition),
        "pretrain_steps": int(pretraining["step"].iloc[-1]),
        "steps": int(variant_history(ablation, ablation.reference, seed)["step"].iloc[-1]),
    }
    models = {"trained": ablation.source, "pretrained": synthetic, "untrained": "untrained"}
    cross = read_json(paths.result("cross_domain", seed)), read_table(paths.queries("cross_domain", seed))
    return results.add_reference(ablation.reference, reference, models, own, cross)


def ablation_runs(
    ablation: Ablation, synthetic: str, targets: Sequence[str], seeds: Sequence[int]
) -> tuple[list[Run], dict[str, str]]:
    """Every variant with every seed, and the name of each target's protocol.

    Variants and seeds are those of params.yaml; what former runs left is not read.

    Raises:
        InputError: results are missing, or do not follow one protocol on the same data.
    """
    names = variant_names(ablation)
    contents, tables = zip(*(ablation_result(ablation, synthetic, seed) for seed in seeds), strict=True)
    queries = pd.concat([table.assign(seed=s) for s, table in zip(seeds, tables, strict=True)], ignore_index=True)
    scores = results.ablation(contents, queries, targets, dict.fromkeys(names, ablation.source))
    groups = dict(iter(queries.groupby(["variant", "seed"])))
    runs = []
    for variant in names:
        for seed, content in zip(seeds, contents, strict=True):
            moments = dict(iter(groups[variant, seed].groupby("moment")))
            steps = content["variants"][variant]["pretrain_steps"]
            runs += runs_of(variant, seed, steps, moments, variant_history(ablation, variant, seed))
    return runs, scores.protocol_names
