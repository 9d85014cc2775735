"""`dvc plots show` and `dvc plots diff` as a page that needs no network: `python tools/plots.py show`.

DVC's own page loads Vega from the internet. Here a template that holds Vega is written where DVC keeps what
is temporary, and given to the command; further arguments are the command's own.
"""

import subprocess
import sys
from pathlib import Path

import vl_convert

VEGA_LITE = "5.21"  # the major version of DVC's templates
PLACE = Path(".dvc") / "tmp" / "plots.html"
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh_tag}
<title>Plots</title>
<link rel="icon" href="data:,">
<script type="module">VEGA</script>
<script>
  // Vega is there once the page is; DVC's calls come before
  const waiting = [];
  window.vegaEmbed = (...given) => waiting.push(given);
  addEventListener("load", () => waiting.forEach((given) => window.vegaEmbed(...given)));
</script>
</head>
<body>
<main>
<h1>Plots</h1>
{plot_divs}
</main>
</body>
</html>
"""


def template() -> str:
    """DVC's page with Vega, Vega-Lite and Vega-Embed inside."""
    bundle = vl_convert.javascript_bundle(vl_version=VEGA_LITE).replace("</script", "<\\/script")
    return PAGE.replace("VEGA", bundle, 1)


def main(words: list[str]) -> int:
    """Write the template and call DVC; its exit status."""
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    PLACE.write_text(template(), encoding="utf-8")
    command, *rest = words or ["show"]
    return subprocess.call(["dvc", "plots", command, "--html-template", str(PLACE.absolute()), *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
