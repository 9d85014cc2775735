"""Update dvc.lock after edits that change no behaviour: `make unchanged`.

Each changed dependency is compared with the commit that wrote dvc.lock: Python files by their syntax trees
without docstrings (syntax trees have no comments), all other files byte for byte. If all are equal, dvc.lock
gets the new hashes of the dependencies, and no stage runs. Otherwise nothing is written, and the error names
the first function or file that differs.
"""

import ast
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from dvc.dependency import ParamsDependency
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree

from sttreid.runtime.errors import InputError

LOCK = "dvc.lock"
Files = dict[str, bytes]  # path from the root -> content
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def main(root: Path) -> str:
    """Compare, then write dvc.lock.

    Returns:
        A message that says what was written.

    Raises:
        InputError: a dependency differs in behaviour, or dvc.lock has uncommitted changes or is in no commit.
    """
    with Repo(str(root)) as repo, repo.lock:
        stages = [stage for stage in repo.index.stages if isinstance(stage, PipelineStage)]
        changed = {stage: outdated for stage in stages if (outdated := _changed(stage))}
        if not changed:
            return f"{LOCK}: is up to date"
        commit = _commit(root)
        # with the hash: dvc.lock has an older hash for a stage that did not run before the commit
        compared: set[tuple[str, str]] = set()
        for stage, dependencies in changed.items():
            for dependency in dependencies:
                key = dependency.def_path, str(dependency.hash_info.value)
                if key not in compared:
                    _compare(repo, root, commit, stage, dependency)
                    compared.add(key)
        for dependency in (dependency for dependencies in changed.values() for dependency in dependencies):
            dependency.save()
        next(iter(changed)).dvcfile.dump_stages(list(changed), update_pipeline=False)
    paths = ", ".join(sorted(path for path, _ in compared))
    return f"{LOCK}: {len(changed)} stages have the new hashes of {paths}"


def difference(old: bytes, new: bytes, module: str) -> str | None:
    """The first definition of a Python file that differs, as ``module:qualified.name``; None if equal.

    Args:
        old: source text.
        new: source text.
        module: dotted name, for the result.
    """
    trees = [_tree(text, module) for text in (old, new)]
    if ast.dump(trees[0]) == ast.dump(trees[1]):
        return None
    before, after = (list(_parts(tree, "")) for tree in trees)
    names = [name for name, _ in after if name]
    for name, dump in after:
        if name and (name, dump) not in before:
            return f"{module}:{name}"
    removed = [name for name, _ in before if name and name not in names]
    return f"{module}:{removed[0]}" if removed else f"{module}: the statements at module level"


def _changed(stage: PipelineStage) -> list[Output]:
    """Dependencies whose hash differs from dvc.lock; outputs may be missing, as in a fresh clone.

    Raises:
        InputError: the stage's command or parameters differ, an output was edited, or the stage never ran.
    """
    if not any(out.hash_info for out in stage.outs):
        raise InputError(f"{stage.addressing}: has never run; {LOCK} does not name its outputs")
    if stage.changed_stage():
        raise InputError(f"{stage.addressing}: its command or its list of dependencies differs from {LOCK}")
    for out in stage.outs:
        if "modified" in out.workspace_status().values():
            raise InputError(f"{out.def_path}: is an output of {stage.addressing} and differs from {LOCK}")
    changed = []
    for dependency in stage.deps:
        status = dependency.workspace_status()
        if isinstance(dependency, ParamsDependency) and status:
            keys = next(iter(status.values()))
            what = ", ".join(keys) if isinstance(keys, dict) else keys
            raise InputError(f"{dependency.def_path}: {what} differs from {LOCK} ({stage.addressing})")
        if not dependency.hash_info:
            raise InputError(f"{dependency.def_path}: is a new dependency of {stage.addressing}")
        if status and not _is_missing_output(dependency):
            changed.append(dependency)
    return changed


def _is_missing_output(dependency: Output) -> bool:
    """Whether it is an artifact that was not computed or pulled here; dvc.lock has its hash."""
    path = Path(dependency.fs_path)
    if dependency.exists or dependency.repo is None:
        return False
    outputs = [Path(out.fs_path) for out in dependency.repo.index.outs]
    return any(path == out or path in out.parents or out in path.parents for out in outputs)


def _commit(root: Path) -> str:
    """The commit that wrote dvc.lock."""
    commit = _git(root, "log", "-1", "--format=%H", "--", LOCK).decode().strip()
    if not commit:
        raise InputError(f"{LOCK}: is in no commit")
    if _git(root, "status", "--porcelain", "--", LOCK):
        raise InputError(f"{LOCK}: has uncommitted changes; commit or restore it first")
    return commit


def _compare(repo: Repo, root: Path, commit: str, stage: PipelineStage, dependency: Output) -> None:
    path = PurePosixPath(Path(dependency.fs_path).relative_to(root).as_posix())
    old = _old_files(repo, root, commit, path)
    new = _new_files(repo, root, path)
    if not old:
        raise InputError(
            f"{path}: differs from {LOCK} and is not in commit {commit[:10]} ({stage.addressing})"
        )
    if _hash(old, path) != dependency.hash_info.value:
        raise InputError(
            f"{path}: {LOCK} was not computed from commit {commit[:10]}, which wrote it;"
            f" run dvc repro {stage.addressing}"
        )
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            verb = "is new" if name in new else "is removed"
            raise InputError(f"{name}: {verb} since commit {commit[:10]}, which wrote {LOCK}")
        if old[name] == new[name]:
            continue
        differing: str | None = name
        if name.endswith(".py"):
            differing = difference(old[name], new[name], _module(name))
        if differing:
            raise InputError(
                f"{differing}: differs from commit {commit[:10]}, which wrote {LOCK}; run dvc repro"
            )


def _old_files(repo: Repo, root: Path, commit: str, path: PurePosixPath) -> Files:
    names = _git(root, "ls-tree", "-r", "-z", "--name-only", commit, "--", str(path)).decode().split("\0")
    return {
        name: _git(root, "cat-file", "blob", f"{commit}:{name}")
        for name in names
        if name and not repo.dvcignore.is_ignored_file(str(root / name))
    }


def _new_files(repo: Repo, root: Path, path: PurePosixPath) -> Files:
    location = root / path
    if location.is_dir():
        files = [Path(name) for name in repo.dvcignore.find(repo.fs, str(location))]
    else:
        files = [location] if location.exists() else []
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}


def _hash(files: Files, path: PurePosixPath) -> str | None:
    """The MD5 that DVC gives a file, or a folder with these files."""
    sums = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in files.items()}
    if str(path) in sums:
        return sums[str(path)]
    tree = Tree()
    for name, value in sums.items():
        tree.add(PurePosixPath(name).relative_to(path).parts, None, HashInfo("md5", value))
    tree.digest()
    return tree.hash_info.value


def _module(name: str) -> str:
    parts = PurePosixPath(name).with_suffix("").parts
    return ".".join(parts[1:] if parts[0] == "src" else parts)


def _tree(text: bytes, module: str) -> ast.Module:
    """The syntax tree; without docstrings, unless the module reads them."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise InputError(f"{module}: is not valid Python ({error})") from error
    nodes = list(ast.walk(tree))
    names = [node.attr for node in nodes if isinstance(node, ast.Attribute)]
    names += [node.id for node in nodes if isinstance(node, ast.Name)]
    if "__doc__" not in names:
        for node in nodes:
            if isinstance(node, ast.Module | Definition) and ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
    return tree


class _Outer(ast.NodeTransformer):
    """Replaces the definitions inside a node by their names, and collects them."""

    def __init__(self) -> None:
        self.definitions: list[Definition] = []

    def visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, Definition):
            return self.generic_visit(node)
        self.definitions.append(node)
        return ast.Expr(ast.Constant(node.name))


def _parts(node: ast.Module | Definition, name: str) -> Iterator[tuple[str, str]]:
    """(qualified name, dump) of each definition; the dump has names in place of the definitions inside."""
    outer = _Outer()
    yield name, ast.dump(outer.generic_visit(node))
    for inner in outer.definitions:
        yield from _parts(inner, f"{name}.{inner.name}" if name else inner.name)


def _git(root: Path, *words: str) -> bytes:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, check=False)
    if done.returncode:
        raise InputError(f"git {' '.join(words)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


if __name__ == "__main__":
    try:
        print(main(Path.cwd()))
    except InputError as problem:
        sys.exit(f"error: {problem}")
