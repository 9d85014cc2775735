"""Stage ``resolve``: params -> a resolved configuration for each ablation variant, and how models are tested.

A variant depends only on its file, so it retrains only when its effective configuration changes.
"""

from sttreid.config import paths
from sttreid.config.conversion import dump
from sttreid.config.params import Params
from sttreid.config.variants import Evaluation, content, resolve
from sttreid.data.registry import protocol_name
from sttreid.runtime.files import write_json
from sttreid.stages.command import run


def main(params: Params) -> None:
    """Resolve all variants before writing the first file: a wrong override keeps the last good files."""
    variants = [resolve(params, name, seed) for name in params.ablation.variants for seed in params.seeds]
    evaluation = Evaluation(
        synthetic=params.simulate.domain,
        flip=params.evaluate.flip,
        targets={name: params.evaluate.of(protocol_name(params.datasets[name])) for name in params.targets},
        clip=params.clip,
        model=params.model,
        compute=params.compute,
    )
    for variant in variants:
        write_json(paths.variant_config(variant.variant, variant.seed), content(variant))
    write_json(paths.evaluation_config(), dump(evaluation))


if __name__ == "__main__":
    run(main)
