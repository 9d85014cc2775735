import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sttreid.simulate import kernels


def test_the_cache_is_named_by_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = Path(kernels.__file__).parent
    before = kernels.source_digest()
    for path in [*package.glob("*.py"), *package.glob("*.npz")]:
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(kernels, "_PACKAGE", tmp_path)
    assert kernels.source_digest() == before
    (tmp_path / "textures.py").write_text((tmp_path / "textures.py").read_text() + "\n# another byte\n")
    assert kernels.source_digest() != before


def test_the_cache_lies_in_numbas_folder_and_numbas_setting_is_unchanged(tmp_path: Path) -> None:
    code = (
        "from numba.core import config\n"
        "from sttreid.simulate.textures import frac\n"
        "assert frac(1.25) == 0.25\n"
        "print(config.CACHE_DIR)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path), "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == str(tmp_path)
    assert list(tmp_path.glob(f"kernels-{kernels.source_digest()}/**/*.nbi"))
