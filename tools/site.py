"""Copy the run's pages into one folder with an index, ready for GitHub Pages: `make site`."""

import json
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path

from sttreid.runtime.errors import InputError
from sttreid.runtime.files import replace_folder, write_text

PAGES = {  # name in the site -> page, title
    "report.html": (
        Path("metrics/report/index.html"),
        "Report: accuracy, attention, ranked lists, feature maps",
    ),
    "claims.html": (Path("metrics/report/claims.html"), "Claims: every effect with its interval and verdict"),
}
SUMMARY = Path("metrics/summary.json")
INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>sttreid: results</title>
<link rel="icon" href="data:,">
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}}
td{{padding-left:2rem;text-align:right}}th{{text-align:left;font-weight:normal}}</style>
</head>
<body>
<main>
<h1>sttreid: results of commit {commit}</h1>
<ul>
{links}
</ul>
<table>
<caption>metrics/summary.json, fractions</caption>
{rows}
</table>
</main>
</body>
</html>
"""


def main(folder: Path) -> None:
    """Write the site; a former one is replaced.

    Raises:
        InputError: a page is missing.
    """
    for page, _ in PAGES.values():
        if not page.is_file():
            raise InputError(
                f"{page}: is missing; `dvc pull` fetches the published one, `make repro` makes it"
            )
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, (page, _) in PAGES.items():
        shutil.copy(page, partial / name)
    write_text(partial / "index.html", _index())
    write_text(partial / ".nojekyll", "")
    replace_folder(folder, partial)


def _index() -> str:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
    )
    links = [f'<li><a href="{name}">{escape(title)}</a></li>' for name, (_, title) in PAGES.items()]
    numbers = json.loads(SUMMARY.read_text(encoding="utf-8"))
    rows = [
        f'<tr><th scope="row">{escape(name)}</th><td>{value:.3f}</td></tr>' for name, value in numbers.items()
    ]
    return INDEX.format(commit=escape(commit.stdout.strip()), links="\n".join(links), rows="\n".join(rows))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "site"))
    except InputError as problem:
        sys.exit(f"error: {problem}")
