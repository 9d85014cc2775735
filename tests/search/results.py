"""Ranked answers without a model: galleries of tests/search/galleries.py, and what a page shows of them."""

from html.parser import HTMLParser

import numpy as np

from sttreid.search.answers import Answer, Answers
from sttreid.search.calibration import Calibration
from sttreid.search.gallery import Gallery
from tests.search.galleries import MODEL

CALIBRATION = Calibration(
    model=MODEL.sha256,
    source="validation people",
    rendered=True,
    people=50,
    tracklets=150,
    same=400,
    different=9000,
    intercept=6.0,
    slope=10.0,
    prior=0.1,
    rate=0.01,
    threshold=0.2,
    centre=(0.0,) * MODEL.dimensions,
    spread=(1.0,) * MODEL.dimensions,
    limit=9.0,
)
VOID = ("meta", "link", "img", "input", "br", "hr")


def answers_of(
    gallery: Gallery, queries: list[int], calibration: Calibration | None = None, k: int = 10
) -> tuple[Answers, ...]:
    """The nearest tracklets of other cameras."""
    cameras, labels = (gallery.tracklets[name].to_numpy() for name in ("camera", "identity"))
    found = []
    for query in queries:
        distances = 1 - gallery.embeddings @ gallery.embeddings[query]
        order = [int(row) for row in np.argsort(distances) if cameras[row] != cameras[query]][:k]
        ranked = []
        for rank, row in enumerate(order, start=1):
            distance = float(distances[row])
            chance = float(calibration.probability(np.array(distance))) if calibration else None
            known = labels[row] is not None and labels[query] is not None
            correct = bool(labels[row] == labels[query]) if known else None
            ranked.append(Answer(rank, row, distance, chance, correct))
        here = bool(ranked) and ranked[0].distance <= calibration.threshold if calibration else None
        found.append(Answers(query, gallery.strip(query), tuple(ranked), here))
    return tuple(found)


class Element:
    """A tag with its attributes, children and own text."""

    def __init__(self, tag, attributes, parent):
        self.tag, self.attributes, self.parent, self.children = tag, dict(attributes), parent, []

    def all(self, tag="", **wanted):
        """All elements below with this tag and these attributes; ``class_`` is one of its classes."""
        for child in self.children:
            if isinstance(child, Element):
                if child.tag == (tag or child.tag) and all(child.has(*each) for each in wanted.items()):
                    yield child
                yield from child.all(tag, **wanted)

    def has(self, name, value):
        if name == "class_":
            return value in (self.attributes.get("class") or "").split()
        return self.attributes.get(name.replace("_", "-")) == value

    @property
    def text(self):
        parts = (child.text if isinstance(child, Element) else child for child in self.children)
        return " ".join("".join(parts).split())

    @property
    def classes(self):
        return set((self.attributes.get("class") or "").split())


class Document(HTMLParser):
    """The tree of a page; an element that is closed twice, or never, is an error."""

    def __init__(self, text):
        super().__init__()
        self.root = self.current = Element("", (), None)
        self.feed(text)
        self.close()
        assert self.current is self.root, f"<{self.current.tag}> is not closed"

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        element = Element(tag, attrs, self.current)
        self.current.children.append(element)
        if tag not in VOID:
            self.current = element

    def handle_endtag(self, tag):
        assert tag == self.current.tag, f"</{tag}> closes <{self.current.tag}>"
        self.current = self.current.parent

    def handle_data(self, data):
        self.current.children.append(data)
