"""Write the page of `dvc plots show` or `dvc plots diff` for offline use: `python tools/plots.py show`.

DVC's own page loads Vega from the internet. This tool writes a template that contains Vega to DVC's temporary
folder and passes it to the command; further arguments are passed on.
"""

import subprocess
import sys
from pathlib import Path

import vl_convert

VEGA_LITE = "5.21"  # the major version of DVC's templates
TEMPLATE = Path(".dvc") / "tmp" / "plots.html"
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
  // DVC's calls come before Vega is loaded
  const waiting = [];
  window.vegaEmbed = (...call) => waiting.push(call);
  addEventListener("load", () => waiting.forEach((call) => window.vegaEmbed(...call)));
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
    """DVC's page with Vega, Vega-Lite and Vega-Embed."""
    bundle = vl_convert.javascript_bundle(vl_version=VEGA_LITE).replace("</script", "<\\/script")
    return PAGE.replace("VEGA", bundle, 1)


def main(arguments: list[str]) -> int:
    """Write the template and call DVC.

    Returns:
        DVC's exit status.
    """
    TEMPLATE.parent.mkdir(parents=True, exist_ok=True)
    TEMPLATE.write_text(template(), encoding="utf-8")
    command, *rest = arguments or ["show"]
    return subprocess.call(["dvc", "plots", command, "--html-template", str(TEMPLATE.absolute()), *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
