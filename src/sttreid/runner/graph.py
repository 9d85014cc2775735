"""DVC's graph of a pipeline as cells."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import Any, Final

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import PipelineStage

from sttreid.config.conversion import hint
from sttreid.runner.cells import Cell
from sttreid.runtime.errors import InputError
from sttreid.runtime.numerics import DEVICE

USES_DEVICE: Final = "src/sttreid/runtime/numerics.py"  # a stage that depends on it chooses a device


@dataclass(frozen=True)
class Graph:
    """The cells of a pipeline.

    Attributes:
        cells: name -> cell, in the order of dvc.yaml.
        changed: cells whose command, parameters, dependencies or outputs differ from dvc.lock.
        altered: cell -> a .dvc file whose files it reads, and which differ from it or are missing.
        missing: cells with missing outputs.
        lacks: cell -> those whose missing outputs it reads.
        pins: the .dvc files whose files cells read.
        locked: content of dvc.lock at that moment; empty without one.
    """

    cells: Mapping[str, Cell]
    changed: frozenset[str]
    altered: Mapping[str, Path] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    lacks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    pins: tuple[Path, ...] = ()
    locked: bytes = b""

    def needed(self, targets: Iterable[str]) -> set[str]:
        """The cells of the targets and all that they wait for, directly or not.

        Args:
            targets: names of cells, or of stages: all their cells.

        Raises:
            InputError: a target is neither.
        """
        found: set[str] = set()
        queue = [name for target in targets for name in self._named(target)]
        while queue:
            name = queue.pop()
            if name not in found:
                found.add(name)
                queue += self.cells[name].after
        return found

    def stale(self) -> set[str]:
        """The changed cells, and all that wait for them."""
        found: set[str] = set()
        for name in self._in_order():
            if name in self.changed or self.cells[name].after & found:
                found.add(name)
        return found

    def outdated(self, targets: Sequence[str] = ()) -> set[str]:
        """The cells that must run for some targets; DVC may find some unchanged.

        They are the stale cells, and those whose missing outputs are wanted or read by one of these. What
        else waits for the latter stays as it is: they give the same outputs again. Where they do not, it is
        changed in the next graph.

        Args:
            targets: cells or stages whose outputs are wanted, missing ones too; empty: all, but no missing.
        """
        wanted = {name for target in targets for name in self._named(target)}
        needed = self.needed(targets or self.cells)
        return self._with_missing(self.stale() & needed | self.missing & wanted)

    def first(self, targets: Sequence[str]) -> set[str]:
        """The cells that must run before the others are known.

        A cell without its outputs that waits for a changed cell runs only if that cell's outputs change: DVC,
        which finds a cell with outputs unchanged, would run this one in any case.

        Args:
            targets: cells or stages that are wanted; empty: all.
        """
        stale = self.stale()
        unsure = (stale - self.changed) & self.missing & self.needed(targets or self.cells)
        unsure = {name for name in unsure if self.needed([name]) & unsure == {name}}
        return self._with_missing(self.needed(unsure) & stale - unsure)

    def subset(self, names: Iterable[str]) -> dict[str, Cell]:
        """Some cells, in the order of dvc.yaml."""
        chosen = set(names)
        return {name: cell for name, cell in self.cells.items() if name in chosen}

    def _with_missing(self, names: set[str]) -> set[str]:
        """With the cells whose missing outputs these read, or the ones that are added."""
        found, queue = set(names), list(names)
        while queue:
            read = self.lacks.get(queue.pop(), frozenset()) - found
            found |= read
            queue += read
        return found

    def _in_order(self) -> list[str]:
        """Every cell after those that it waits for."""
        order: dict[str, None] = {}

        def visit(name: str) -> None:
            if name not in order:
                for other in sorted(self.cells[name].after):
                    visit(other)
                order[name] = None

        for name in self.cells:
            visit(name)
        return list(order)

    def _named(self, target: str) -> list[str]:
        names = [name for name in self.cells if target in (name, name.partition("@")[0])]
        if not names:
            stages = list(dict.fromkeys(name.partition("@")[0] for name in self.cells))
            known = hint(target, [*stages, *self.cells])
            raise InputError(f"dvc.yaml: has no stage {target!r}, but {', '.join(stages)}{known}")
        return names


def read_graph(folder: Path, *, allow_missing: bool = False) -> Graph:
    """The graph of the pipeline in a DVC repository, and what is out of date in it.

    Frozen stages and files that ``dvc add`` tracks are no cells.

    Args:
        folder: of the repository.
        allow_missing: a cell that has run and has not changed but for missing files is not changed.

    Raises:
        InputError: dvc.yaml, dvc.lock or a parameter file is invalid, or another DVC command locks the
            repository.
    """
    try:
        with Repo(str(folder)) as repo, repo.lock:
            locked = (folder / "dvc.lock").read_bytes() if (folder / "dvc.lock").exists() else b""
            graph = repo.index.graph
            stages = [stage for stage in graph if isinstance(stage, PipelineStage) and not stage.frozen]
            names = {stage: _name(stage) for stage in stages}
            cells = [
                Cell(
                    name=name,
                    after=frozenset(names[other] for other in graph.successors(stage) if other in names),
                    gpus=int(_uses_device(stage)),
                )
                for stage, name in names.items()
            ]
            changed = frozenset(
                name
                for stage, name in names.items()
                if not all(out.hash_info for out in stage.outs)
                or stage.changed(allow_missing)
                or (allow_missing and any(map(_differs, stage.outs)))
            )
            missing = frozenset(
                name for stage, name in names.items() if not all(out.exists for out in stage.outs)
            )
            lacks = {
                name: frozenset(
                    names[other]
                    for other in graph.successors(stage)
                    if other in names and _reads_missing(stage, other)
                )
                for stage, name in names.items()
            }
            readers = {
                source: [names[stage] for stage in graph.predecessors(source) if stage in names]
                for source in graph
                if not isinstance(source, PipelineStage)
            }
            altered = {
                name: Path(source.relpath)
                for source, readers_of_it in readers.items()
                if any(out.workspace_status() for out in source.outs)
                for name in readers_of_it
            }
            pins = tuple(Path(source.relpath) for source, readers_of_it in readers.items() if readers_of_it)
    except DvcException as error:
        raise InputError(f"{folder / 'dvc.yaml'}: {' '.join(str(error).split())}") from error
    return Graph({cell.name: cell for cell in cells}, changed, altered, missing, lacks, pins, locked)


def _name(stage: Any) -> str:
    """As DVC addresses the stage in the root of its repository; its own ``addressing`` starts from ours."""
    file = Path(stage.path_in_repo)
    return str(stage.name) if file == Path("dvc.yaml") else f"{file.as_posix()}:{stage.name}"


def _differs(out: Any) -> bool:
    """Whether an output differs from dvc.lock; where its cache is missing, DVC does not look at it."""
    return "modified" in out.workspace_status().values()


def _reads_missing(reader: Any, writer: Any) -> bool:
    """Whether a missing output of ``writer`` is, or lies in, a dependency of ``reader``, or contains it."""
    missing = [Path(out.fs_path) for out in writer.outs if not out.exists]
    deps = [Path(dep.fs_path) for dep in reader.deps]
    return any(out.is_relative_to(dep) or dep.is_relative_to(out) for out in missing for dep in deps)


def _uses_device(stage: Any) -> bool:
    return environ.get(DEVICE) != "cpu" and any(dep.def_path == USES_DEVICE for dep in stage.deps)
