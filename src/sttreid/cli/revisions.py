"""A run at a revision: its parameters and dvc.lock from git, its results from DVC's cache.

A revision is ``workspace``, a branch, tag or commit of git, or the name of a DVC experiment. Results count
only if they belong to the parameters of their revision: dvc.lock says which values and files a stage read.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import resolve_rev

from sttreid.analysis.comparison import GroupResults, Outcome, flat
from sttreid.analysis.result_files import read_queries, read_result
from sttreid.config import paths
from sttreid.config.conversion import parse
from sttreid.config.fingerprint import FINGERPRINT
from sttreid.runtime.documents import check_path, parse_yaml, read_whole
from sttreid.runtime.errors import InputError

WORKSPACE: Final = "workspace"
PARAMS: Final = "params.yaml"
LOCK: Final = "dvc.lock"
METRICS: Final = str(paths.METRICS / "cross_domain.json")
REQUIRED: Final = (
    "ablation.source",
    "ablation.variants",
    "compute",
    "seeds",
    "simulate.domain",
    "targets",
)
IDLE: Final = ("claims", "compare", "study", "visualise")  # sections that change no result
MD5: Final = re.compile(r"[0-9a-f]{32}")
EXPONENT: Final = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")  # a number that YAML 1.1 reads as text

Stage = Mapping[str, Any]  # of dvc.lock


@dataclass(frozen=True)
class _File:
    """A dependency or an output in dvc.lock; DVC writes further keys."""

    path: str


@dataclass(frozen=True)
class _Stage:
    """A stage in dvc.lock."""

    deps: list[_File] = field(default_factory=list)
    outs: list[_File] = field(default_factory=list)
    params: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Lock:
    """What is read of dvc.lock."""

    stages: dict[str, _Stage]


@dataclass(frozen=True)
class _Ablation:
    source: str
    variants: dict[str, Any]


@dataclass(frozen=True)
class _Simulate:
    domain: str


@dataclass(frozen=True)
class _Read:
    """What is read of params.yaml, whose other keys are compared as they are."""

    ablation: _Ablation
    simulate: _Simulate
    compute: dict[str, Any]
    seeds: list[int]
    targets: list[str]


def read_outcomes(root: Path, names: Sequence[str]) -> list[Outcome]:
    """The runs at several revisions.

    Args:
        root: of the checkout.
        names: of the revisions.

    Raises:
        InputError: there is no DVC repository; a revision is unknown; its results are missing from DVC's
            cache or belong to other parameters.
    """
    try:
        with Repo(str(root)) as repo:
            return [_revision(repo, root, name).outcome() for name in names]
    except DvcException as error:
        raise InputError(f"{root}: {error}") from error


def _revision(repo: Any, root: Path, name: str) -> "_Revision":
    """Of a repository of DVC."""

    def cached(md5: str) -> Path | None:
        return Path(repo.cache.local.oid_to_path(md5)) if repo.cache.local.exists(md5) else None

    if name == WORKSPACE:
        return _Revision(name, None, root, lambda path: _bytes(root / path), cached)
    try:
        commit = resolve_rev(repo.scm, name)
    except DvcException as error:
        rule = "must be workspace, an experiment, or a branch, tag or commit"
        raise InputError(f"the revision {rule}, got {name!r}") from error
    files = repo.scm.get_fs(commit)

    def committed(path: str) -> bytes | None:
        return bytes(files.open(path, "rb").read()) if files.exists(path) else None

    return _Revision(name, str(commit), root, committed, cached)


@dataclass(frozen=True)
class _Revision:
    """What is read at a revision.

    Attributes:
        name: as the user calls it.
        commit: 40 hexadecimal digits; None: the workspace.
        root: of the checkout.
        read: path from the root -> content of the file; None: there is none.
        cached: MD5 -> path in DVC's cache; None: it is not there.
    """

    name: str
    commit: str | None
    root: Path
    read: Callable[[str], bytes | None]
    cached: Callable[[str], Path | None]

    def outcome(self) -> Outcome:
        """The run; without its ablation if that is missing or belongs to other parameters."""
        default = self._group("cross_domain")
        try:
            ablation, missing = self._group("ablation"), None
        except InputError as error:
            ablation, missing = None, f"{error}."
        domain = f"domains/{self._synthetic}.yaml"
        content = self._content(domain) or {}
        if not isinstance(content, Mapping):
            raise InputError(f"{self.name}: {domain} must be a mapping, got {content!r:.100}")
        values = flat(content)
        return Outcome(
            name=self.name,
            commit=self.commit,
            params=self._params,
            domain={f"{domain}:{key}": value for key, value in values.items()},
            tracklets={name: md5 for name in self._datasets if (md5 := self._outputs.get(_tracklets(name)))},
            code=self._code(self._stages("cross_domain")),
            cross_domain=default,
            ablation=ablation,
            missing=missing,
            fingerprint=_at(self._content(METRICS), FINGERPRINT),
        )

    @cached_property
    def _params(self) -> Mapping[str, Any]:
        params = self._content(PARAMS)
        absent = [key for key in REQUIRED if _at(params, key) is None]
        if not isinstance(params, Mapping) or absent:
            rule = f"{PARAMS} must have the keys {', '.join(REQUIRED)}"
            raise InputError(f"{self.name}: {rule}, {', '.join(absent)} is missing")
        parse(_Read, params, f"{self.name}: {PARAMS}")
        return params

    @cached_property
    def _lock(self) -> Mapping[str, Stage]:
        content = self._parsed(LOCK)
        if not isinstance(content, Mapping) or not content.get("stages"):
            raise InputError(f"{self.name}: {LOCK} must have stages, run `dvc repro` and commit it")
        parse(_Lock, content, f"{self.name}: {LOCK}")
        # an MD5 such as 12e34... is no number
        return {
            name: {**stage, "params": _numbers(stage.get("params", {}))}
            for name, stage in content["stages"].items()
        }

    @cached_property
    def _outputs(self) -> Mapping[str, str]:
        """Path -> MD5."""
        outputs = [out for stage in self._lock.values() for out in stage.get("outs", [])]
        return {out["path"]: str(out.get("md5")) for out in outputs}

    @property
    def _synthetic(self) -> str:
        return str(self._params["simulate"]["domain"])

    @property
    def _datasets(self) -> list[str]:
        return [*self._params["targets"], self._synthetic]

    @cached_property
    def _files(self) -> dict[str, Any]:
        """Path -> parsed content: every stage of dvc.lock reads params.yaml."""
        return {}

    def _content(self, path: str) -> Any:
        """Of a YAML file, with numbers as numbers; None: there is none.

        Raises:
            InputError: it is not valid, or cannot have such a path.
        """
        if path not in self._files:
            self._files[path] = _numbers(self._parsed(path))
        return self._files[path]

    def _parsed(self, path: str) -> Any:
        """The same as YAML 1.1 reads it."""
        check_path(self.name, path)
        content = self.read(path)
        return None if content is None else parse_yaml(content, f"{self.name}: {path}")

    def _group(self, group: paths.Group) -> GroupResults:
        """Results of all seeds.

        Raises:
            InputError: they are missing or belong to other parameters.
        """
        problem = next(self._problems(group), None)
        if problem is not None:
            rule = f"the {group} results must belong to {PARAMS}"
            raise InputError(f"{self.name}: {rule}, but {problem}; run `dvc repro`")
        seeds = self._params["seeds"]
        contents = [read_result(self._file(paths.result(group, seed))) for seed in seeds]
        kind: Literal["sources", "variants"] = "sources" if group == "cross_domain" else "variants"
        tables = [read_queries(self._file(paths.queries(group, seed)), kind) for seed in seeds]
        return GroupResults(contents, pd.concat(tables, ignore_index=True))

    def _file(self, path: Path) -> Path:
        """An output: the file of the workspace, otherwise from the cache."""
        md5 = self._outputs[str(path)]
        if not MD5.fullmatch(md5):
            raise InputError(f"{self.name}: {LOCK}: the md5 of {path} must be an MD5, got {md5!r:.100}")
        found = self.cached(md5)
        if self.commit is None and (content := self.read(str(path))) is not None:
            if hashlib.md5(content).hexdigest() != md5:
                rule = f"must be the one of {LOCK}, MD5 {md5}, run `dvc repro` or `dvc checkout`"
                raise InputError(f"{self.name}: {path} {rule}")
            return self.root / path
        if found is None:
            place = "`dvc pull`" if self.commit is None else "`dvc fetch --all-commits` or `dvc exp pull`"
            hint = f"get it with {place}, or run `dvc repro` at that revision"
            raise InputError(f"{self.name}: {path} (MD5 {md5}) is not in DVC's cache, {hint}")
        return found

    def _stages(self, group: paths.Group) -> dict[str, Stage]:
        """The stages that decide a group's results, by their names in dvc.lock."""
        names = self._datasets if group == "cross_domain" else list(self._params["ablation"]["variants"])
        seeds = self._params["seeds"]
        outputs = [paths.videos(self._synthetic), *(Path(_tracklets(name)) for name in self._datasets)]
        outputs += [paths.evaluation_config()]
        outputs += [paths.model(group, seed, name) for seed in seeds for name in names]
        outputs += [paths.queries(group, seed) for seed in seeds]
        return {name: self._lock[name] for path in outputs if (name := self._producer(path)) is not None}

    def _producer(self, path: Path) -> str | None:
        """The stage that writes a file or the folder around it."""
        around = {str(path), *map(str, path.parents)}
        for name, stage in self._lock.items():
            if any(out["path"] in around for out in stage.get("outs", [])):
                return name
        return None

    def _problems(self, group: paths.Group) -> Iterator[str]:
        """Why a group's results do not belong to the parameters."""
        for seed in self._params["seeds"]:
            for path in (paths.queries(group, seed), paths.result(group, seed)):
                if str(path) not in self._outputs:
                    yield f"{LOCK} has no {path}"
        stages = self._stages(group)
        idle = (*IDLE, "ablation") if group == "cross_domain" else IDLE
        code = self._code(self._stages("cross_domain"))
        for name, stage in stages.items():
            for file, values in stage.get("params", {}).items():
                now = self._content(file) if _is_inside(file) else {}
                for key, value in values.items():
                    if key.partition(".")[0] not in idle and _at(now, key) != value:
                        yield f"{name} read another {key}"
            for dependency in stage.get("deps", []):
                path, md5 = dependency["path"], str(dependency.get("md5"))
                if md5 != self._outputs.get(path, code.get(path, md5)):
                    yield f"{name} read another {path}"

    def _code(self, stages: Mapping[str, Stage]) -> dict[str, str]:
        """Path -> MD5 of the code of stages, as the last of them read it."""
        found = [each for stage in stages.values() for each in stage.get("deps", [])]
        return {each["path"]: str(each.get("md5")) for each in found if each["path"].startswith("src/")}


def _tracklets(dataset: str) -> str:
    """Path of a tracklet store in dvc.lock."""
    return str(paths.ARTIFACTS / "tracklets" / dataset)


def _is_inside(path: str) -> bool:
    """Whether a path of dvc.lock stays in the checkout."""
    return not Path(path).is_absolute() and ".." not in Path(path).parts and "\0" not in path


def _bytes(path: Path) -> bytes | None:
    return read_whole(path) if path.is_file() else None


def _at(content: Any, key: str) -> Any:
    """The value of a dotted key; None: there is none."""
    for part in key.split("."):
        content = content.get(part) if isinstance(content, Mapping) else None
    return content


def _numbers(content: Any) -> Any:
    """With numbers such as 1e-05, which YAML 1.1 reads as text."""
    if isinstance(content, Mapping):
        return {key: _numbers(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_numbers(value) for value in content]
    if isinstance(content, str) and EXPONENT.fullmatch(content):
        return float(content)
    return content
