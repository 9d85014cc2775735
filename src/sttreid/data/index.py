"""The command ``sttreid index``: check a data set outside of the repository, and write its manifest."""

from collections.abc import Iterator
from pathlib import Path

from sttreid.config.conversion import hint
from sttreid.config.params import load
from sttreid.data.folder_manifest import local_folder, scan, write_local
from sttreid.data.published.published_set import PublishedSet
from sttreid.data.reading import DataSource, read_dataset
from sttreid.data.registry import ReadSettings, check_datasets
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_json


def index(name: str, folder: Path | None = None) -> str:
    """Check a data set of ``params.yaml`` and write its manifest.

    Args:
        name: of the data set.
        folder: of the data set; kept in the untracked local file. None: as the environment variable or the
            local file says.

    Returns:
        Remarks on the set, one sentence per line.

    Raises:
        InputError: the set is unknown, has no manifest, or cannot be read.
    """
    params = load()
    check_datasets(params.datasets)
    if name not in params.datasets:
        names = list(params.datasets)
        rule = f"datasets must hold {name!r}"
        raise InputError(f"params.yaml: {rule}, got {', '.join(names)}{hint(name, names)}")
    dataset = params.datasets[name]
    if not dataset.has_manifest:
        rule = "the root must be a manifest, such as sets/mars.json (DVC hashes a folder itself)"
        raise InputError(f"params.yaml: datasets.{name}.root: {rule}, got {str(dataset.root)!r}")
    if folder and not folder.is_dir():
        raise InputError(f"{folder}: the folder of {name} must exist")
    root = folder or local_folder(name, dataset.root)
    manifest = scan(root)
    source = read_dataset(
        dataset, root, ReadSettings(params.decode.validation, on_error=params.decode.on_error)
    )
    if folder:
        write_local(name, dataset.root, folder)
    write_json(dataset.root, manifest)
    total = {key: sum(part[key] for part in manifest["parts"].values()) for key in ("files", "bytes")}
    last = f"{dataset.root}: {total['files']:,} files, {total['bytes']:,} bytes in {root}"
    return "\n".join([*_remarks(source), last])


def _remarks(source: DataSource) -> Iterator[str]:
    """Remarks on a set before it is decoded."""
    if isinstance(source, PublishedSet):
        yield from (f"OFF  {sentence}" for sentence in source.mismatches)
        yield from source.remarks
        return
    for camera in source.cameras:
        yield f"camera {camera.number}: {camera.video.relative_to(source.folder)}, {camera.frames:,} frames"
    yield from source.remarks
    yield from (f"warning: {sentence}" for sentence in source.warnings)
    identities = source.boxes.groupby("split")["identity"]
    for split, count in identities.nunique().items():
        yield f"{split}: {count:,} identities, {identities.size()[split]:,} boxes"
