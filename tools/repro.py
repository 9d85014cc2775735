"""Run the pipeline, two stages of one thread at a time: `make repro`.

`dvc repro` alone does the same, one stage after the other. The pre-training takes longest and is needed by
all fine-tuning, so it starts first, beside the variants of the ablation. The output ends with a table of this
run and the published ones.
"""

import os
import subprocess
import sys
from pathlib import Path

import published
from parallel import (
    InterruptedRunError,
    ablation_stages,
    cross_domain_stages,
    raise_on_signals,
    reproduce,
)

from sttreid.config.params import load
from sttreid.runtime.errors import InputError


def main() -> None:
    """Run what is out of date.

    Raises:
        InputError: params.yaml is invalid, or a stage failed.
        InterruptedRunError: after the running stages have ended.
    """
    if subprocess.run(["dvc", "status", "-q", "dvc.yaml"], check=False).returncode == 0:
        print("Everything is up to date.")
    else:
        params, folder, environment = load(), Path(), {**os.environ}
        reproduce({"decode": (), "resolve": ("decode",)}, folder, environment, upstream=True)
        models = cross_domain_stages(params.seeds, params.targets)
        pretrains = {stage: before for stage, before in models.items() if stage.startswith("pretrain@")}
        variants = ablation_stages(params.seeds, params.ablation.variants)
        reproduce(pretrains | variants | models, folder, environment)
        reproduce({"dvc.yaml": ()}, folder, environment, upstream=True)
    print("\n".join(published.main()))


if __name__ == "__main__":
    raise_on_signals()
    try:
        main()
    except InputError as problem:
        sys.exit(f"error: {problem}")
    except InterruptedRunError:
        sys.exit(130)
