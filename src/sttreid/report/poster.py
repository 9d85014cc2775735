"""The attention of the page on a few tracklets as one JPEG, for places that show no HTML."""

import io
import re
from xml.sax.saxutils import escape

import vl_convert
from PIL import Image

from sttreid.report.films import Pictures, looked

TRACKLETS = 3
LINE, GAP, TOP, SCALE = 14, 8, 26, 2.0  # pixels, and how many there are in the file for each
QUALITY = 75
STYLE = """
text { font-family: Roboto, sans-serif; font-size: 11px; fill: #222 }
.clip text, text.seen { font-size: 9px; text-anchor: middle; fill: #5d6269 }
.mark-1 { fill: #0072b2 } .mark-2 { fill: #c05a00 } .even { stroke: #5d6269; stroke-width: 0.6 }
.clip text.ink-1 { fill: #0072b2 } .clip text.ink-2 { fill: #c05a00 }
"""


def poster(pictures: Pictures) -> bytes:
    """The first tracklets one below the other, each clip by clip.

    Returns:
        A JPEG file; equal pictures give equal bytes.
    """
    content, y, width = "", float(TOP), 420.0
    for one in looked(pictures)[:TRACKLETS]:
        content += f'<text x="{GAP}" y="{y + 10}">{escape(f"{one.title}: {one.told}")}</text>'
        x, lowest = float(GAP), 0.0
        for clip in one.clips:
            across, down = (float(re.findall(rf' {name}="(\d+)"', clip)[0]) for name in ("width", "height"))
            content += str(clip).replace("<svg ", f'<svg x="{x}" y="{y + LINE}" ', 1)
            x, lowest = x + across + GAP, max(lowest, down)
        width, y = max(width, x), y + LINE + lowest + GAP
    key = (
        f'<text x="{GAP}" y="15">Weights of the temporal token, %: '
        f'<tspan class="mark-1">■</tspan> {escape(pictures.left)} <tspan class="mark-2">■</tspan>'
        f" {escape(pictures.right)}; grey: how much is visible, %</text>"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}">'
    paper = f'<rect width="{width}" height="{y}" fill="#fff"/>'
    svg = f"{head}<style>{STYLE}</style>{paper}{key}{content}</svg>"
    picture = Image.open(io.BytesIO(vl_convert.svg_to_png(svg, scale=SCALE))).convert("RGB")
    out = io.BytesIO()
    picture.save(
        out, "JPEG", quality=QUALITY, subsampling=0, optimize=True
    )  # a PNG is several times as large
    return out.getvalue()
