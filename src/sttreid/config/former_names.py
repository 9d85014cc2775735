"""Former names of parameters, for the error about an unknown key."""

from typing import Final

RENAMED: Final = {  # former name -> the name, for the message about an unknown key
    **{
        f"{schedule}.{former}": f"{schedule}.{name}"
        for schedule in ("pretrain", "finetune", "ablation.scratch")
        for former, name in (
            ("rate", "lr"),
            ("backbone_rate", "backbone_lr"),
            ("gradient_norm", "max_grad_norm"),
            ("looks", "eval_every, a number of steps"),
        )
    },
    "compute.clips": "compute.embed_batch",
    "compute.synchronise": "compute.sync_batch_norm",
    "evaluate.rerank.use": "evaluate.rerank.enabled",
    "ablation.fitted": "ablation.min_train_rank1",
    "ablation.reuse": "ablation.reference",
    "ablation.tested": "study.analysis of a study",
    "ablation.trials": "study.trials of a study",
    "simulate.shortest": "simulate.min_frames",
    "simulate.longest": "simulate.max_frames",
    "picture": "visualise",
    "domains": "the files domains/NAME.yaml",
    "benchmark": "the file domains/benchmark.yaml",
    "claims.seeds_needed": "claims.min_seeds",
    "claims.relevant": "claims.min_effect",
    "claims.reached": "claims.target_rank1",
}
