"""Provenance of results: code, versions, processor, threads and the settings that select kernels.

Training does not depend on this module: a stage records its machine in a file of its own, so that weights and
results have equal bytes on machines that compute alike.

Weights are bit-identical only under the same versions and the same numeric path
(:mod:`sttreid.runtime.numerics`).
"""

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from sttreid.runtime import numerics
from sttreid.runtime.documents import YAML_BYTES, parse_yaml, read_bytes
from sttreid.runtime.errors import InputError

NATIVE: Final = "native"  # kernels as the libraries choose them for the processor
PACKAGES: Final = ("torch", "numpy", "pandas", "scipy", "scikit-learn", "pyarrow", "pillow", "dvc")
KERNEL_SETTINGS: Final = (
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES",  # augmentation: NumPy's kernels change its last bits
)


@dataclass(frozen=True)
class Machine:
    """A machine and the software on it.

    Attributes:
        python: version.
        packages: name -> version.
        processor: its model.
        capability: instruction set of torch's CPU kernels, such as AVX2.
        numeric_path: "native", or the environment variables that restrict the kernels.
        device: model of the first CUDA device; None: there is none, or it is not used.
        threads: intra-op threads of the process; None: not recorded.
        numerics: "portable" or "native", as in params.yaml; None: not recorded.
    """

    python: str
    packages: dict[str, str]
    processor: str
    capability: str
    numeric_path: str
    device: str | None
    threads: int | None = None
    numerics: str | None = None

    @property
    def summary(self) -> str:
        """One line: processor, instruction set, numerics, version of torch, threads, device."""
        words = [f"{self.processor} ({self.capability})", f"{self.numerics or self.numeric_path} numerics"]
        words.append(f"torch {self.packages.get('torch', 'unknown')}")
        if self.threads is not None:
            words.append(f"{self.threads} thread{'s' if self.threads != 1 else ''}")
        return ", ".join([*words, *([self.device] if self.device else [])])


@dataclass(frozen=True)
class Provenance:
    """How a study was published.

    Attributes:
        study: name.
        commit: 40 hexadecimal digits; of the code that trained.
        uncommitted_changes: of that code or its parameters.
        published: date and time, ISO 8601.
        threads: of a training process.
        machines: those on which stages ran.
        params: all parameters, merged.
        tracklets: data set -> MD5 of its tracklet store, as in dvc.lock.
        files: path from the publication's folder -> SHA-256.
        remarks: further facts about the origin.
        models: path below artifacts/models -> MD5, as in dvc.lock; empty in old publications.
    """

    study: str
    commit: str
    uncommitted_changes: bool
    published: str
    threads: int
    machines: list[Machine]
    params: dict[str, Any]
    tracklets: dict[str, str]
    files: dict[str, str]
    remarks: list[str]
    models: dict[str, str] = field(default_factory=dict)


def publication_date(record: Provenance, path: Path) -> datetime:
    """When a study was published, with its time zone.

    Raises:
        InputError: the record does not say it as ISO 8601; the error names its file ``path``.
    """
    try:
        date = datetime.fromisoformat(record.published)
    except ValueError as error:
        rule = "published must be a date and time, ISO 8601"
        raise InputError(f"{path}: {rule}, got {record.published!r:.100}") from error
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def numerics_of(record: Provenance, path: Path) -> str:
    """The numeric path of a publication.

    Raises:
        InputError: its parameters have no section ``compute``; the error names the file ``path``.
    """
    compute = record.params.get("compute")
    if not isinstance(compute, dict):
        raise InputError(f"{path}: params.compute must be a section, got {compute!r:.100}")
    return str(compute.get("numerics", NATIVE))


def machine() -> Machine:
    """This machine and this process' environment."""
    import torch  # takes seconds, which a study that is refused need not spend

    cuda = torch.cuda.is_available() and os.environ.get(numerics.DEVICE) != "cpu"
    settings = [f"{name}={value}" for name in KERNEL_SETTINGS if (value := os.environ.get(name))]
    return Machine(
        python=platform.python_version(),
        packages={name: version for name in PACKAGES if (version := _version(name))},
        processor=_processor(),
        capability=str(torch.backends.cpu.get_cpu_capability()),
        numeric_path=" ".join(settings) or NATIVE,
        device=torch.cuda.get_device_name(0) if cuda else None,
        threads=torch.get_num_threads(),
        numerics=numerics.current(),
    )


def checksums(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Path below ``folder`` -> SHA-256, sorted by path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(paths)
    }


def locked_outputs(stages: Mapping[str, Any], folder: str) -> dict[str, str]:
    """Path below ``folder`` -> MD5 of the outputs there, sorted by path, of stages as dvc.lock has them."""
    outs = {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}
    prefix = f"{folder}/"
    return {path.removeprefix(prefix): outs[path] for path in sorted(outs) if path.startswith(prefix)}


def locked_stores(home: Path) -> dict[str, str]:
    """Data set -> MD5 of its tracklet store in a folder where some have been decoded."""
    lock = parse_yaml(read_bytes(home / "dvc.lock", YAML_BYTES), home / "dvc.lock")
    return {
        Path(out["path"]).name: out["md5"]
        for name, stage in lock["stages"].items()
        for out in stage["outs"]
        if name.startswith("decode@") and out["path"].startswith("artifacts/tracklets/")
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """The model name; Linux says it in /proc/cpuinfo."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
