"""A study of your own: `python tools/new_study.py claims mine seeds=[0,1] model.width=64`.

Copies what experiments/FROM asks (dvc.yaml and params.yaml, not what it found) to experiments/NAME, sets keys
in its params.yaml, comments kept, and checks the result (check_study.py). `make study STUDY=NAME` runs it.
"""

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from check_study import STUDIES, check, named
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sttreid.config.conversion import hint
from sttreid.config.params import PARAMS
from sttreid.runtime.errors import InputError

IGNORED = Path(".dvcignore")
NAME = re.compile("[a-z][a-z0-9_-]*")
STUDY = re.compile(r"(?m)^(  - study: )\S+")


def changed(text: str, words: Sequence[str], place: str) -> Any:
    """The content of a parameter file with `section.key=value` set; each key must be there."""
    content = editor().load(text)
    for word in words:
        key, there, value = word.partition("=")
        if not there:
            raise InputError(f"{word}: must be key=value")
        *parents, last = key.split(".")
        section = content
        for name in (*parents, last):
            if not isinstance(section, dict) or name not in section:
                known = list(section) if isinstance(section, dict) else []
                near = (
                    hint(name, known) if section is not content else f", its sections are {', '.join(known)}"
                )
                raise InputError(f"{place}: has no key {key}{near}")
            parent, section = section, section[name]
        try:
            found = YAML(typ="safe").load(value)  # lists in lines of their own, as the file has them
            if found == []:  # no section has a list that may be empty, and the editor would spoil the file
                raise InputError(f"{word}: must not be empty")
            parent[last] = found
        except YAMLError as error:
            raise InputError(f"{word}: is not valid YAML ({' '.join(str(error).split())})") from error
    return content


def main(source: str, name: str, words: Sequence[str]) -> None:
    """Copy, set, check; nothing is left of a study that does not pass.

    Raises:
        InputError: there is no such study, the name is taken or no name, a key is unknown, or the study
            that comes out could give no answer.
    """
    old, new = named(source), STUDIES / name
    if not NAME.fullmatch(name):
        raise InputError(f"{name}: a study's name must be small letters, digits, - and _, from a letter on")
    if new.exists():
        raise InputError(f"{new}: is there already")
    content = changed((old / PARAMS).read_text(encoding="utf-8"), words, str(old / PARAMS))
    pipeline = (old / "dvc.yaml").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(dir=STUDIES, prefix=".new-") as made:
        folder = Path(made) / name
        folder.mkdir()
        editor().dump(content, folder / PARAMS)
        (folder / "dvc.yaml").write_text(STUDY.sub(rf"\g<1>{name}", pipeline), encoding="utf-8")
        notes = check(folder, new)
        with IGNORED.open("a", encoding="utf-8") as ignored:  # as every study that was never run
            ignored.write(f"/{new}/\n")
        folder.rename(new)
    for line in notes:
        print(line)
    print(f"{new}: change {PARAMS} there as you like, then: make study STUDY={name}")


def editor() -> YAML:
    """Reads and writes with comments, quotes and long lines as they are."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 1000
    return yaml


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python tools/new_study.py FROM NAME [section.key=value ...]")
    try:
        main(sys.argv[1], sys.argv[2], sys.argv[3:])
    except InputError as error:
        sys.exit(f"error: {error}")
