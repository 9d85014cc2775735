"""The simulator's commands: render a data set, verify its checksums, draw a contact sheet."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sttreid.config.consistency import check_encoding
from sttreid.config.domain import DOMAINS, Domain, Scale, benchmark_of, load_domain, read_domain, scaled
from sttreid.runtime.errors import InputError
from sttreid.simulate import dataset
from sttreid.simulate.identity_sheet import write_identity_sheet
from sttreid.simulate.manifest import MANIFEST, differences


def render(
    domain: str,
    folder: Path,
    scale: Mapping[str, int | float] | None = None,
    benchmark: bool = False,
    workers: int | None = None,
) -> None:
    """Render camera videos, tracks, tables of truth and a manifest.

    Args:
        domain: a name in the folder domains/ of the working directory, or the path of a domain file (*.yaml).
        folder: created; must not exist.
        scale: field of Scale -> value; the other fields keep the values of DEFAULT_SCALE.
        benchmark: render a pinned set, with scale and version of the file domains/benchmark*.yaml that
            lists the domain.
        workers: number of processes (None: one per processor); the bytes do not depend on it.

    Raises:
        InputError: the domain or the scale breaks a rule, or the folder exists.
    """
    name, content = _domain(domain)
    size, version = (
        _benchmark(domain, bool(scale)) if benchmark else (scaled(scale or {}, "scale options"), None)
    )
    if folder.exists():
        raise InputError(f"{folder}: must not exist yet; choose another folder")
    check_encoding(content, size, f"{name}: width")
    dataset.render(name, content, size, folder, workers, version)


def verify(folders: Sequence[Path], manifest: Path | None = None) -> None:
    """Compare rendered folders with the checksums of their own manifests, or of another ``manifest``.

    Raises:
        InputError: files differ (one line per file), or a manifest cannot be read.
    """
    sentences = [line for folder in folders for line in differences(folder, manifest or folder / MANIFEST)]
    if sentences:
        raise InputError(*sentences)


def sheet(folder: Path, path: Path, identities: int = 24) -> None:
    """Draw the first test identities of a rendered folder as a JPEG: identities x cameras x times.

    Raises:
        InputError: the folder has no manifest, or the sheet would be too large.
    """
    write_identity_sheet(folder, path, identities)


def _domain(word: str) -> tuple[str, Domain]:
    """Name and content of a domain, given its name or file."""
    if word.endswith((".yaml", ".yml")):
        return Path(word).stem, read_domain(Path(word))
    if not DOMAINS.is_dir():
        raise InputError(
            f"{DOMAINS}: the folder does not exist here, so the domain must be a file *.yaml, got {word!r}"
        )
    return word, load_domain(word)


def _benchmark(domain: str, scale_given: bool) -> tuple[Scale, str]:
    pinned = benchmark_of(domain)
    if scale_given:
        raise InputError(
            f"--benchmark: the scale of {pinned.version} is fixed; drop the options of the scale"
        )
    return pinned, pinned.version
