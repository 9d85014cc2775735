"""Everything as one HTML page that needs no network, no script and no other file.

Words and tables are those of the Markdown report, so that both say the same; figures and pictures come in
between.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from sttreid.report import figures
from sttreid.report.beside import beside
from sttreid.report.blocks import Section, html
from sttreid.report.document import document, told
from sttreid.report.films import Pictures, looked, ranked
from sttreid.report.page import Findings, report

CLAIMS = "The paper's claims"
STUDY = (
    "These are the answers of this run alone; those of the study with more seeds stand in the repository, in"
    " `metrics/claims/claims.md`."
)
LISTS = {
    "hardest": "hardest failures first (lowest average precision, one query an identity)",
    "even": "at even steps of average precision, from low to high",
}


def site(found: Findings, histories: Mapping[str, pd.DataFrame], pictures: Pictures, claims: str) -> str:
    """The page.

    Args:
        found: everything that the Markdown report tells.
        histories: training histories, "<name>-<seed>" or "ablation-<variant>-<seed>".
        pictures: of the stage ``picture``.
        claims: the Markdown page of the stage ``claims``: its answers follow the paper's numbers beside ours.

    Returns:
        HTML; equal arguments give equal text.
    """
    prose = told(report(found))
    intro = prose.pop("Results")
    drawn = {
        "Cross-domain": figures.cross_domain(found),
        "Ablation": figures.ablation(found),
    }
    sections = [
        Section(CLAIMS, html(f"{beside(found)}\n\n{answers(claims)}", CLAIMS)),
        *(Section(t, prose.pop(t), drawn[t], scope=figures.scope(found)) for t in drawn if t in prose),
        Section("Training", figures=figures.training(found, histories)),
        *_attention(found, pictures),
        *_lists(found, pictures),
        _maps(found, pictures),
        *(Section(title, body) for title, body in prose.items()),
    ]
    return document("Results", intro, [s for s in sections if s], pictures)


def answers(claims: str) -> str:
    """Of the page of claims, how much was run and the table of answers, as Markdown."""
    run, *parts = claims.split("\n## ")
    table = next(part for part in parts if part.startswith("Answers\n"))
    told = [text.partition("\n")[2].strip() for text in (run, table)]
    return "\n\n".join([*told, STUDY])


def _attention(found: Findings, pictures: Pictures) -> list[Section]:
    said = figures.attention_scope(found, pictures)
    shown = looked(pictures)
    names = f"{pictures.left} (above) and {pictures.right} (below)"
    bars = (
        f"The temporal token's weights on unseen people of {found.source}, clip by clip: for each frame its"
        f" visibility in per cent, then for {names} its weight in per cent, the mean over heads, under a bar"
        " that reaches the line where the clip's frames share evenly, and a row of cells for each head, full"
        " where it gives all its attention to that frame. What is missing to 100 the token gives itself; a"
        " short last clip repeats its frames. Shown are the tracklets whose visibility changes most within a"
        " clip.\n\nIn the table: how many tokens share the attention, e to its entropy, of the frames and the"
        " token itself; what the token gives itself; the most that any head gives one frame, the mean over"
        " clips; how far a frame's weight is from an even share, the mean over frames. 95 % intervals over"
        " people."
    )
    table = figures.attention_table(pictures)
    heat = (
        f"The spatial token's weights on the same clips: as they are, then under the weights of {names}."
        " Places glow that get more than an even share, on one scale for both networks and all frames of a"
        " tracklet; each block is one place of the network's map."
    )
    return [
        Section(
            "Temporal attention",
            html(f"{bars}\n\n{table}", "Temporal attention"),
            figures.attention(found, pictures),
            looked=shown,
            scope=said,
        ),
        Section(
            "Spatial attention", html(heat, "Spatial attention"), looked=shown, overlays=True, scope=said
        ),
    ]


def _lists(found: Findings, pictures: Pictures) -> list[Section]:
    prose = (
        "Each target's own model on its own test: the query, then its nearest tracklets as film strips,"
        " frames evenly spread, nearest first. What the protocol leaves out does not stand in a list; where"
        " no right answer is among the nearest, the first one follows with its rank."
    )
    lists = [
        (f"{target}: {words}", ranked(pictures, target, kind))
        for target in found.targets
        for kind, words in LISTS.items()
    ]
    kept: Sequence[tuple[str, Sequence[object]]] = [one for one in lists if one[1]]
    title = "Ranked lists"
    said = figures.scope(found).replace(figures.seeds(found.cross), f"seed {pictures.seed}")
    return [Section(title, html(prose, title), ranked=kept, scope=said)]  # type: ignore[arg-type]


def _maps(found: Findings, pictures: Pictures) -> Section:
    prose = (
        "Test tracklets of all data sets in the space of the network before and after fine-tuning. Data sets"
        " that mix fully would have about as large a share of their nearest from their own as they have of"
        " all tracklets."
    )
    title = "Map of the embeddings"
    return Section(title, html(prose, title), figures.maps(found, pictures))
