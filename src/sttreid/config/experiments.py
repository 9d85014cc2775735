"""The folder experiments/: create, check and merge the parameters of studies.

experiments/NAME/params.yaml holds overrides only. A stage checks its parameters when it runs, and the last
stages run after hours; :func:`check_study` therefore checks variants, trials and contrasts before a study
starts.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sttreid.config import consistency, contrasts
from sttreid.config.conversion import dump, hint, parse, read_mapping, read_yaml
from sttreid.config.domain import DOMAINS
from sttreid.config.params import PARAMS, Params, build
from sttreid.config.study import DEFAULT_HOME, Beside, Study, counted_schedule, trial_name
from sttreid.config.trials import with_trials
from sttreid.config.variants import Variant, merge, resolve
from sttreid.runtime.documents import parse_yaml
from sttreid.runtime.errors import InputError

EXPERIMENTS: Final = Path("experiments")
RUN: Final = "run"  # folder of a study in which it runs
CLAIMS: Final = "claims"  # the study with the paper's contrasts; its thresholds hold for all studies
NAME: Final = re.compile("[a-z][a-z0-9_-]*")
TAKEN: Final = ("plots", "report", "skipped")  # folders that the default run has in metrics/
FREE: Final = (  # sections with names as keys, or with keys that no study needs to have
    ("ablation", "variants"),
    ("study",),
    ("claims", "contrasts"),
)
SHARED: Final = ("datasets", "decode", "rendered")  # sections that a study takes from the study of its sets


def study_names(root: Path) -> list[str]:
    """The names of all studies, sorted.

    Args:
        root: of a checkout.

    Raises:
        InputError: it has no folder experiments.
    """
    folder = root / EXPERIMENTS
    if not folder.is_dir():
        raise InputError(f"{folder}: is missing; studies belong to a checkout of the repository")
    return sorted(path.parent.name for path in folder.glob(f"*/{PARAMS}"))


def overrides_path(root: Path, name: str) -> Path:
    """A study's parameter file.

    Raises:
        InputError: there is no study of that name, or it has the name of a folder of the default run.
    """
    names = study_names(root)
    if name not in names:
        raise InputError(
            f"{EXPERIMENTS / name}: no such study, there are {', '.join(names)}{hint(name, names)}"
        )
    _check_free(name)
    return root / EXPERIMENTS / name / PARAMS


def _check_free(name: str) -> None:
    if name in TAKEN:
        rule = f"a study publishes in metrics/NAME, and {', '.join(TAKEN)} belong to the default run"
        raise InputError(f"{EXPERIMENTS / name}: {rule}, got {name!r}")


def merged(root: Path, overrides: object, path: Path) -> dict[str, Any]:
    """Complete parameters of a study.

    The study's overrides are merged over params.yaml and the thresholds of experiments/claims, and its trials
    applied (:func:`sttreid.config.trials.with_trials`). Of the analysis ``seeds`` no variant remains.

    Args:
        root: of a checkout.
        overrides: content of the study's parameter file.
        path: of that file, for errors.

    Raises:
        InputError: the section ``study`` is missing or wrong, or names an unknown variant or study of sets.
    """
    content = _layered(root, overrides, path)
    study = _study(content, path)
    content["study"] = {**content["study"], "home": _home(study)}
    variants = (content.get("ablation") or {}).get("variants") or {}
    for variant in study.variants:
        if variant not in variants:
            rule = f"study.variants must name variants of ablation.variants, which has {', '.join(variants)}"
            raise InputError(f"{path}: {rule}; got {variant!r}{hint(variant, list(variants))}")
    return with_trials(content, study, path)


def check_study(root: Path, name: str) -> list[str]:
    """Check that a study can produce a result.

    Args:
        root: of a checkout.
        name: of the study.

    Returns:
        Notes about what is valid but probably not intended.

    Raises:
        InputError: a value breaks its field's rule, in the study, in params.yaml or in a variant's overrides;
            the trials form no learning curve; one seed is to show a spread; a confirmatory contrast compares
            unequal trainings; a contrast compares a variant with itself.
    """
    path = overrides_path(root, name)
    return _check(root, read_yaml(path), path.relative_to(root))


def check_published(params: Params, theirs: Mapping[str, Any], path: Path, origin: Path) -> None:
    """Check that a study can be compared with what another one has published (``study.beside``).

    Args:
        params: of the study.
        theirs: all parameters of the publication, which may differ from that study's present ones.
        path: of the study's parameter file.
        origin: of the publication's.

    Raises:
        InputError: as :func:`sttreid.config.consistency.check_beside`; the two test in different ways; or a
            confirmatory contrast compares unequal trainings.
    """
    assert params.study is not None, "only a study has a section study"
    assert params.study.beside is not None, "the caller has read it"
    resolved = {name: resolve(params, name, params.seeds[0], path) for name in params.ablation.variants}
    resolved |= _resolved_beside(params, params.study.beside, theirs, path, origin)
    list(contrasts.notes(params, resolved, path))


def new_study(root: Path, name: str, source: str, overrides: Sequence[str]) -> list[str]:
    """Create experiments/NAME from another study; a study that is refused leaves no files.

    Args:
        root: of a checkout.
        name: of the new study.
        source: study whose overrides it copies, with their comments.
        overrides: further ones, ``section.key=value``.

    Returns:
        Notes as of :func:`check_study`.

    Raises:
        InputError: there is no such source, the name is taken or invalid, a key is unknown, or as
            :func:`check_study`.
    """
    original = overrides_path(root, source)
    folder = root / EXPERIMENTS / name
    path = EXPERIMENTS / name / PARAMS
    if not NAME.fullmatch(name):
        rule = "must be lower-case letters, digits, - and _, and start with a letter"
        raise InputError(f"the study's name {rule}, got {name!r}")
    _check_free(name)
    if folder.exists():
        raise InputError(f"{EXPERIMENTS / name}: exists already")
    read_yaml(original)  # checks it
    content = _editor().load(original)
    for key, count in Counter(assignment.partition("=")[0] for assignment in overrides).items():
        if count > 1:
            raise InputError(f"{key}: must be given once, got {count} values")
    for assignment in overrides:
        _assign(content, assignment, _layered(root, content, path), path)
    notes = _check(root, content, path)
    with tempfile.TemporaryDirectory(dir=root / EXPERIMENTS, prefix=".new-") as temporary:
        (Path(temporary) / name).mkdir()
        _editor().dump(content, Path(temporary) / name / PARAMS)
        (Path(temporary) / name).rename(folder)
    return notes


def _layered(root: Path, overrides: object, path: Path) -> dict[str, Any]:
    """The merged parameters, before the trials are applied."""
    if not isinstance(overrides, Mapping):
        raise InputError(f"{path}: must be a mapping with a section study, got {overrides!r}")
    default = read_mapping(root / PARAMS)
    source = root / EXPERIMENTS / CLAIMS / PARAMS
    claims = read_mapping(source).get(CLAIMS)
    if not isinstance(claims, Mapping):
        raise InputError(f"{source}: the section {CLAIMS} must be a mapping, got {claims!r:.100}")
    overrides = _over_base(root, overrides, path)
    study = overrides.get("study")
    sets = study.get("sets") if isinstance(study, Mapping) else None
    base = {**default, CLAIMS: {**claims, "contrasts": {}}}
    return merge(merge(base, _shared(root, sets, path) if sets else {}), overrides)


def _over_base(
    root: Path, overrides: Mapping[str, Any], path: Path, above: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    """The overrides over those of ``study.base``; ``study``, and ``claims`` if any, are the study's own."""
    study = overrides.get("study")
    if not isinstance(study, Mapping) or study.get("base") is None:
        return overrides
    name = str(study["base"])
    if name in above:
        chain = " > ".join([*above, name])
        raise InputError(f"{path}: study.base must not lead back to the same study, got {chain}")
    base = _over_base(root, read_mapping(overrides_path(root, name)), path, (*above, name))
    theirs = base.get("study")
    sets = theirs.get("sets") if isinstance(theirs, Mapping) else None
    own = {"study", CLAIMS} & set(overrides)
    inherited = {name: section for name, section in base.items() if name not in own}
    return merge({**inherited, "study": {"sets": sets}}, overrides)


def _home(study: Study) -> str:
    """The folder with the study's tracklet stores, from the folder in which it runs."""
    if study.analysis == "sets":
        return "."
    return DEFAULT_HOME if study.sets is None else f"../../{study.sets}/{RUN}"


def _shared(root: Path, sets: str, path: Path) -> dict[str, Any]:
    """The sections of the study ``sets`` that describe its sets."""
    content = read_mapping(overrides_path(root, sets))
    study = content.get("study")
    if not isinstance(study, Mapping) or study.get("analysis") != "sets":
        raise InputError(f"{path}: study.sets must name a study with the analysis sets, got {sets!r}")
    return {name: content[name] for name in SHARED if name in content}


def _study(content: Mapping[str, Any], path: Path) -> Study:
    if "study" not in content:
        raise InputError(f"{path}: the section study is missing")
    study = parse(Study, content["study"], f"{path}: study")
    if study.analysis in ("seeds", "sets"):
        if study.variants or study.trials:
            rule = f"study.variants and study.trials must be empty for the analysis {study.analysis}"
            raise InputError(f"{path}: {rule}, got {study.variants} and {dict(study.trials)}")
    elif not study.variants or len(set(study.variants)) < len(study.variants):
        rule = "study.variants must be a non-empty list without repetition"
        raise InputError(f"{path}: {rule}, got {study.variants}")
    return study


def _check(root: Path, overrides: object, path: Path) -> list[str]:
    default = read_yaml(root / PARAMS)
    build(default, PARAMS)  # first, so that its errors name it
    content = merged(root, overrides, path)
    params = build(content, path)
    study = params.study
    assert study is not None, "merged() requires the section"
    consistency.check(params, path, root / DOMAINS)
    if study.analysis != "sets":
        consistency.check_stores(content, *_home_params(root, study, path))
    resolved = {name: resolve(params, name, params.seeds[0], path) for name in params.ablation.variants}
    if study.beside is not None:
        other = overrides_path(root, study.beside.study).relative_to(root)
        theirs = merged(root, read_yaml(root / other), other)
        resolved |= _resolved_beside(params, study.beside, theirs, path, other)
    notes = list(_variant_notes(overrides, study))
    if study.analysis == "sets":
        return [f"note: {path}: {note}" for note in notes]
    if study.analysis == "seeds":
        if len(params.seeds) < 2:
            raise InputError(f"{path}: seeds: a spread needs at least 2 seeds, got {params.seeds}")
    elif study.analysis == "tuning":
        if len(study.trials) < 2:
            raise InputError(
                f"{path}: study.trials: a search needs at least 2 trials, got {len(study.trials)}"
            )
    elif study.analysis == "curves":
        counted_schedule(study, params.ablation.variants, path)
        first = next(iter(study.trials))
        resolved = {name: resolved[trial_name(name, first)] for name in study.variants}
        notes += contrasts.notes(params, resolved, path)
    else:
        notes += [*contrasts.notes(params, resolved, path), *contrasts.seed_notes(params)]
    return [f"note: {path}: {note}" for note in notes]


def _home_params(root: Path, study: Study, path: Path) -> tuple[dict[str, Any], Path, Path]:
    """The parameters of the run that makes a study's tracklet stores, the study's file, and that run's."""
    if study.sets is None:
        return read_mapping(root / PARAMS), path, PARAMS
    sets = overrides_path(root, study.sets)
    return merged(root, read_yaml(sets), sets.relative_to(root)), path, sets.relative_to(root)


def _resolved_beside(
    params: Params, beside: Beside, content: Mapping[str, Any], path: Path, other: Path
) -> dict[str, Variant]:
    """The variants of another study that a study is compared with; ``other`` has that study's ``content``."""
    consistency.check_beside(params, content, path)
    theirs = build(content, other)
    if params.evaluate != theirs.evaluate:
        rule = f"must be that of {other}, to be compared with it: {dump(theirs.evaluate)}"
        raise InputError(f"{path}: evaluate {rule}; got {dump(params.evaluate)}")
    return {name: resolve(theirs, name, theirs.seeds[0], other) for name in beside.variants}


def _variant_notes(overrides: object, study: Study) -> Iterator[str]:
    """Variants that the study overrides and does not train."""
    assert isinstance(overrides, Mapping), "merged() requires it"
    for variant in (overrides.get("ablation") or {}).get("variants") or {}:
        if variant not in study.variants:
            yield f"ablation.variants.{variant}: is not in study.variants, so it is not trained"


def _assign(content: Any, assignment: str, layers: Mapping[str, Any], path: Path) -> None:
    """Set a key of the overrides; it must exist in the merged parameters, unless it is below ``FREE``."""
    key, equals, text = assignment.partition("=")
    if not equals:
        raise InputError(f"{assignment}: must be key=value")
    try:
        parse_yaml(text, assignment)  # checks it
        value = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise InputError(f"{assignment}: is not valid YAML ({' '.join(str(error).split())})") from error
    parts = key.split(".")
    section: Any = layers
    for depth, part in enumerate(parts):
        if any(tuple(parts[: len(free)]) == free and depth >= len(free) for free in FREE):
            break
        if not isinstance(section, Mapping) or part not in section:
            names = list(section) if isinstance(section, Mapping) else []
            suggestion = hint(part, names) or (f", there are {', '.join(names)}" if names else "")
            raise InputError(f"{path}: unknown key {key}{suggestion}")
        section = section[part]
    for part in parts[:-1]:
        if not isinstance(content.get(part), dict):
            content[part] = {}
        content = content[part]
    content[parts[-1]] = value


def _editor() -> YAML:
    """Keeps comments, quotes and long lines."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 1000
    return yaml
