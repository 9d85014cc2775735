"""Headers of tracks files: the names that writers give to columns.

Names are compared in lower case without anything but letters and digits. Of several columns with the same
meaning the first counts, but ``id`` (often the number of the row) and single letters give way to other names
(``track_id``, ``x1``). ``x`` and ``y`` are the left top corner, as in MOTChallenge.
"""

import re
from collections.abc import Sequence
from typing import Final

from sttreid.config.track_format import Column, gives_boxes

NAMES: Final[dict[Column, str]] = {
    "frame": "frame frameid frameindex frameidx framenumber frameno framenum framenr fid fn",
    "id": "id trackid trackingid trackerid targetid objectid objid personid identity pid tid oid track",
    "left": "left x x1 xmin bbleft bboxleft bbx bboxx bboxx1 bbx1 xtl l xleft boxleft bboxxmin topleftx tlx",
    "top": "top y y1 ymin bbtop bboxtop bby bboxy bboxy1 bby1 ytl t ytop boxtop bboxymin toplefty tly",
    "width": "width w bbwidth bboxwidth bbw bboxw boxwidth",
    "height": "height h bbheight bboxheight bbh bboxh boxheight",
    "right": "right x2 xmax bbright bboxright bboxx2 bbx2 xbr r xright boxright bboxxmax brx",
    "bottom": "bottom y2 ymax bbbottom bboxbottom bboxy2 bby2 ybr b ybottom boxbottom bboxymax bry",
    "x_center": "xcenter xcentre xc cx centerx centrex bbxc bboxcx",
    "y_center": "ycenter ycentre yc cy centery centrey bbyc bboxcy",
    "conf": "conf confidence score prob probability detscore detconf",
    "class": "class classid classname cls cl category categoryid objectcategory label type clsid",
    "visibility": "visibility vis visible visratio",
}
_VAGUE: Final = " id x y w h l t r b "  # each gives way to other names and to those before it
_COLUMNS: Final = {word: column for column, words in NAMES.items() for word in words.split()}


def columns_of(header: Sequence[str]) -> tuple[Column, ...] | None:
    """The columns that a header names; None: it names no frame, no identity or no box."""
    words = [re.sub(r"[^a-z0-9]", "", word.lower()) for word in header]
    columns: list[Column] = ["unused"] * len(words)
    for place in sorted(range(len(words)), key=lambda place: _VAGUE.find(f" {words[place]} ")):
        column = _COLUMNS.get(words[place])
        if column is not None and column not in columns:
            columns[place] = column
    return tuple(columns) if gives_boxes([column for column in columns if column != "unused"]) else None
