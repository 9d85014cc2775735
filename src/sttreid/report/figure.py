"""One static picture of both results, as SVG text: equal results give equal bytes on every machine.

Left the cross-domain matrix as a heat map, right the ablation as bars. Nothing but text is drawn with fonts,
and the reader's own sans-serif is used, so the file is a few kilobytes.
"""

from collections.abc import Collection, Sequence
from xml.sax.saxutils import escape

import pandas as pd

from sttreid.report import plots
from sttreid.report.summary import lowest_fit
from sttreid.report.tables import percent

CELL, LINE, LABEL, GAP, TOP = 76, 34, 96, 60, 64  # pixels
TITLE, BAR_LABEL, BAR = 380, 150, 280
COLOURS = {"in_domain": "#0072b2", "cross_domain": "#e69f00"}  # told apart by colour-blind eyes too
FAINT = 0.35  # opacity of arms that are not comparable
HEAT = (23, 78, 134)  # at the highest value of the matrix


def figure(matrix: pd.DataFrame, arms: pd.DataFrame, targets: Sequence[str], fitted: float) -> str:
    """Draw rank-1 of both results. Variants that are not comparable are drawn faint and marked with a star.

    Args:
        matrix: of :func:`sttreid.report.summary.matrix`.
        arms: of :func:`sttreid.report.summary.arms`.
        targets: columns of the matrix, in this order.
        fitted: rank-1 on its training identities (0 to 1) that a variant must reach to be comparable.

    Returns:
        The text of an SVG file.
    """
    cross, ablation = plots.cross_domain(matrix), plots.ablation(arms)
    fits = lowest_fit(arms)
    doubtful = [str(variant) for variant, fit in fits.items() if fit < fitted]
    sources = list(cross["source"].unique())
    variants = list(ablation["variant"].unique())
    left = max(LABEL + CELL * len(targets), TITLE) + GAP
    width, height = left + BAR_LABEL + BAR + 60, TOP + LINE * max(len(sources), len(variants)) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        *_matrix(cross, sources, targets),
        *_bars(ablation, variants, left, doubtful),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _matrix(cross: pd.DataFrame, sources: Sequence[str], targets: Sequence[str]) -> list[str]:
    parts = [_text(12, 22, "Rank-1 (%): trained on (rows), tested on (columns)", bold=True)]
    parts += [_text(LABEL + CELL * (i + 0.5), TOP - 10, t, "middle") for i, t in enumerate(targets)]
    parts += [_text(LABEL - 8, TOP + LINE * (i + 0.62), s, "end") for i, s in enumerate(sources)]
    top = max(float(cross["rank1"].max()), 1e-9)
    for source, target, rank1 in zip(cross["source"], cross["target"], cross["rank1"], strict=True):
        x, y = LABEL + CELL * targets.index(target), TOP + LINE * sources.index(source)
        share = rank1 / top
        red, green, blue = (round(255 + (end - 255) * share) for end in HEAT)
        fill = f"#{red:02x}{green:02x}{blue:02x}"
        parts.append(f'<rect x="{x}" y="{y}" width="{CELL - 2}" height="{LINE - 2}" fill="{fill}"/>')
        ink = "#fff" if share > 0.55 else "#222"
        middle = x + CELL / 2 - 1
        parts.append(_text(middle, y + LINE * 0.62, percent(rank1), "middle", source == target, ink))
    return parts


def _bars(table: pd.DataFrame, variants: Sequence[str], left: float, doubtful: Collection[str]) -> list[str]:
    start = left + BAR_LABEL
    parts = [_text(left, 22, "Ablation: rank-1 (%)", bold=True)]
    for i, (setting, colour) in enumerate(COLOURS.items()):
        parts.append(f'<rect x="{start + 130 * i}" y="{TOP - 20}" width="11" height="11" fill="{colour}"/>')
        parts.append(_text(start + 16 + 130 * i, TOP - 10, setting.replace("_", "-")))
    top = max(float(table["rank1"].max()), 1e-9)
    for variant, setting, rank1 in zip(*(table[c] for c in ("variant", "setting", "rank1")), strict=True):
        y = TOP + LINE * variants.index(variant) + 14 * list(COLOURS).index(setting)
        style = f'fill="{COLOURS[setting]}" fill-opacity="{FAINT if variant in doubtful else 1}"'
        parts.append(f'<rect x="{start}" y="{y + 2}" width="{BAR * rank1 / top:.1f}" height="12" {style}/>')
        parts.append(_text(start + BAR * rank1 / top + 5, y + 12, percent(rank1), small=True))
    for i, variant in enumerate(variants):
        star = " *" if variant in doubtful else ""
        parts.append(_text(start - 8, TOP + LINE * (i + 0.55), f"{variant}{star}", "end"))
    if set(variants) & set(doubtful):
        words = "* not comparable: does not fit its training identities"
        parts.append(_text(start, TOP + LINE * len(variants) + 20, words, small=True))
    return parts


def _text(
    x: float,
    y: float,
    words: str,
    anchor: str = "start",
    bold: bool = False,
    ink: str = "",
    small: bool = False,
) -> str:
    style = f' text-anchor="{anchor}"' if anchor != "start" else ""
    style += ' font-weight="bold"' if bold else ""
    style += f' fill="{ink}"' if ink else ""
    style += ' font-size="11"' if small else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{style}>{escape(words)}</text>'
