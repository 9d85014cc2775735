"""The scripts of tools/ as modules, so that a test needs no further process."""

import importlib.util
from types import ModuleType

from tests.tiny import ROOT


def tool(name: str) -> ModuleType:
    """The module of tools/NAME.py, read anew."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
