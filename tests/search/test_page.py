"""The page of a search, as a parser sees it: whole, escaped, linked, and small."""

import base64
import hashlib
import json
import re
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sttreid.runtime.errors import InputError
from sttreid.search import page
from sttreid.search.answers import Answer, Answers
from sttreid.search.page import html, write_page
from tests.search.galleries import gallery_of, strip
from tests.search.results import CALIBRATION, Document, answers_of

HOSTILE = (
    '"><script>alert(1)</script>',
    "</title></style></script><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "a\u202egpj.\x00\n\udcff",
    "&lt;b&gt; ]]> <!--",
    "javascript:alert(1)",
    "x" * 255,
)


def parsed(*arguments: object) -> Document:
    return Document(html(*arguments))


def people_of(gallery) -> list[int]:
    """Right identities."""
    return [int(label[1:]) for label in gallery.tracklets["identity"]]


def strips_of(document: Document) -> list[bytes]:
    (script,) = document.root.all("script", id="strips")
    return [base64.b64decode(text) for text in json.loads(script.text)]


def waiting_of(document: Document) -> dict[str, Any]:
    (script,) = document.root.all("script", id="waiting")
    content: dict[str, Any] = json.loads(script.text)
    return content


def test_later_queries_have_their_answers_as_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LISTED", 1)
    gallery = gallery_of(people=12, strips=True)
    answers = answers_of(gallery, [3, 14, 0], CALIBRATION)
    document = parsed(answers, gallery, people_of(gallery), CALIBRATION)
    cards = list(document.root.all("article", class_="query"))
    assert [len(list(card.all("li"))) for card in cards] == [10, 0, 0]
    assert [len(list(card.all("noscript"))) for card in cards] == [0, 1, 1]
    waiting = waiting_of(document)
    assert waiting["answers"].keys() == {"2", "3"}
    asked = {3: 1, 14: 2, 0: 3}
    for number, one in zip(("2", "3"), answers[1:], strict=True):
        for values, answer in zip(waiting["answers"][number], one.answers, strict=True):
            row, rank, distance, percent, chance, correct, near, link = values
            assert (row, rank, correct) == (answer.row, answer.rank, answer.correct)
            assert distance == pytest.approx(answer.distance, abs=1e-4)
            assert percent == int(100 * answer.probability)
            assert chance.endswith("%")
            assert near == (answer.distance <= CALIBRATION.threshold)
            assert link == asked.get(row)
            assert waiting["seen"][str(row)][3] == gallery.names[row]
            strip = strips_of(document)[waiting["seen"][str(row)][6]]
            assert strip == gallery.strips[row]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text_in_answers_as_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LISTED", 0)
    gallery = gallery_of(people=4)
    stored = name.replace("\udcff", "")
    odd = replace(gallery, tracklets=gallery.tracklets.assign(track=gallery.tracklets["track"] + stored))
    document = parsed(answers_of(odd, [0, 1]), odd, [name] * len(odd))
    (script,) = document.root.all("script", id="waiting")
    assert not set("<>&") & set(script.text)
    for one in waiting_of(document)["seen"].values():
        shown = f"cam{one[0] + 1}.mp4:"
        assert one[3].startswith(shown)
        if name.isascii() and name.isprintable():
            assert one[3].endswith(name)
            assert one[5] == name


def test_every_query_has_its_answers_in_order() -> None:
    gallery = gallery_of(people=12, strips=True)
    answers = answers_of(gallery, [3, 14], CALIBRATION)
    cards = list(parsed(answers, gallery, None, CALIBRATION).root.all("article", class_="query"))
    assert len(cards) == 2
    for card, one in zip(cards, answers, strict=True):
        (ranked,) = card.all("ol")
        items = list(ranked.all("li"))
        assert [int(item.attributes["value"]) for item in items] == [a.rank for a in one.answers]
        for item, answer in zip(items, one.answers, strict=True):
            row = gallery.tracklets.loc[answer.row]
            assert gallery.names[answer.row] in item.text
            assert row["camera"] in item.text
            assert f"{round(answer.distance, 4):.3f}" in item.text
            assert ("✓ right" in item.text, "✗ wrong" in item.text) == (answer.correct, not answer.correct)
            assert re.search(r"\d %", item.text)
            assert ("beyond the threshold" in item.text) == (answer.distance > CALIBRATION.threshold)
            assert len(list(item.all("img"))) == 1


def test_without_a_calibration_no_answer_has_a_probability() -> None:
    gallery = gallery_of(labels=False)
    document = parsed(answers_of(gallery, [0]), gallery)
    items = list(document.root.all("li", class_="answer"))
    assert items
    for item in items:
        assert "%" not in item.text
        assert not list(item.all(class_="mark"))
        assert "threshold" not in item.text
    (bound,) = document.root.all("input", id="bound")
    assert bound.attributes["data-kind"] == "distance"
    farthest = max(float(item.attributes["data-distance"]) for item in items)
    assert float(bound.attributes["value"]) >= farthest  # at first everything passes


@pytest.mark.parametrize(
    ("probability", "words"), [(0.0, "< 1 %"), (0.5, "50 %"), (0.994, "> 99 %"), (1.0, "> 99 %")]
)
def test_nothing_is_certain(probability: float, words: str) -> None:
    gallery = gallery_of()
    answer = Answer(1, 5, 0.1, probability, None)
    document = parsed([Answers(0, b"", (answer,))], gallery, None, CALIBRATION)
    (item,) = document.root.all("li", class_="answer")
    (chance,) = item.all(class_="chance")
    assert chance.text == words


def test_whether_somebody_is_here_and_remarks_are_said() -> None:
    gallery = gallery_of()
    near, far = (Answer(1, 5, distance, 0.5, None) for distance in (0.1, 0.9))
    answers = [
        Answers(0, b"", (near,), True),
        Answers(1, b"", (far,), False, ("Far from <all>.",)),
        Answers(2, b"", (), None),
    ]
    cards = list(parsed(answers, gallery, None, CALIBRATION).root.all("article", class_="query"))
    outcomes = [[each.classes & {"yes", "no"} for each in card.all("p", class_="outcome")] for card in cards]
    assert outcomes == [[{"yes"}], [{"no"}], []]
    assert "Far from <all>." in cards[1].text
    assert not list(cards[2].all("ol"))


def test_a_query_from_outside_has_its_name_and_its_own_strip() -> None:
    gallery = gallery_of(strips=True)
    outside = gallery_of(people=9, strips=True).strips[8]
    answer = Answer(1, 2, 0.1, None, None)
    document = parsed([Answers("folder/<b>", outside, (answer,))], gallery)
    (card,) = document.root.all("article", class_="query")
    (heading,) = card.all("h3")
    assert "folder/<b>" in heading.text
    images = [int(image.attributes["data-strip"]) for image in card.all("img")]
    strips = strips_of(document)
    assert [strips[number] for number in images] == [outside, gallery.strips[2]]


def test_the_timeline_shows_every_person_with_one_colour() -> None:
    gallery = gallery_of(people=5, cameras=3)
    document = parsed((), gallery, people_of(gallery))
    bars = list(document.root.all("button", class_="bar"))
    assert sorted(int(bar.attributes["data-row"]) for bar in bars) == list(range(15))
    colours = {}
    for bar in bars:
        hue = re.search(r"--hue:([\d.]+)", bar.attributes["style"])
        assert hue
        colours.setdefault(bar.text, set()).add(hue[1])
    assert colours.keys() == {f"P{number}" for number in range(5)}
    assert all(len(each) == 1 for each in colours.values())
    assert len(set.union(*colours.values())) == 5
    assert len(list(document.root.all("article", class_="person"))) == 5
    assert not list(document.root.all("article", class_="query"))


def test_without_identities_the_timeline_shows_queries_and_answers_only() -> None:
    gallery = gallery_of(people=10)
    answers = answers_of(gallery, [0], k=3)
    bars = parsed(answers, gallery).root.all("button", class_="bar")
    expected = {0, *(answer.row for answer in answers[0].answers)}
    assert {int(bar.attributes["data-row"]) for bar in bars} == expected


def test_people_whom_most_cameras_saw_come_first_and_those_of_one_camera_are_folded() -> None:
    gallery = gallery_of(people=3, cameras=2)
    identities = [7, 8, 9, 10, 8, 11]  # rows 1 and 4 are one person
    root = parsed((), gallery, identities).root
    people = list(root.all("article", class_="person"))
    assert people[0].text.startswith("P8 2 times, 2 cameras")
    (folded,) = root.all("details", class_="singles")
    assert len(list(folded.all("article"))) == 4


def test_each_strip_is_there_once() -> None:
    gallery = gallery_of(people=12, cameras=2, strips=True)
    answers = answers_of(gallery, list(range(24)), CALIBRATION)
    text = html(answers, gallery, people_of(gallery), CALIBRATION)
    document = Document(text)
    strips = strips_of(document)
    assert sorted(strips) == sorted(set(gallery.strips))
    assert all(text.count(base64.b64encode(each).decode()) == 1 for each in strips)
    images = list(document.root.all("img"))
    assert len(images) > 24 * 10
    for image in images:
        assert 0 <= int(image.attributes["data-strip"]) < len(strips)
        assert image.attributes["alt"]
        assert (image.attributes["width"], image.attributes["height"]) == ("96", "96")


def test_links_and_labels_lead_to_what_is_there() -> None:
    gallery = gallery_of(people=6, cameras=3, strips=True)
    answers = answers_of(gallery, [0, 1, 2, 8], CALIBRATION)
    root = parsed(answers, gallery, people_of(gallery), CALIBRATION).root
    names = [each.attributes["id"] for each in root.all() if "id" in each.attributes]
    assert len(names) == len(set(names))
    links = [each.attributes["href"] for each in root.all("a")]
    assert len(links) > 20
    assert all(link[0] == "#" and link[1:] in names for link in links)
    references = [
        each.attributes[name]
        for each in root.all()
        for name in ("aria-labelledby", "for")
        if name in each.attributes
    ]
    assert references
    assert set(references) <= set(names)
    for control in [*root.all("input"), *root.all("select")]:
        assert control.parent is not None
        assert control.parent.tag == "label"
    levels = [int(each.tag[1]) for each in root.all() if re.fullmatch(r"h\d", each.tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name: str) -> None:
    gallery = gallery_of(people=4, strips=True)
    stored = name.replace("\udcff", "")  # Arrow's strings cannot hold it; the name of a folder can
    hostile = gallery.tracklets.assign(
        video=gallery.tracklets["video"].map({"cam1.mp4": stored, "cam2.mp4": f"{stored}2"}),
        camera=gallery.tracklets["camera"].map({"cam1": stored, "cam2": f"{stored}2"}),
        track=gallery.tracklets["track"] + stored,
    )
    odd = replace(gallery, tracklets=hostile, model=replace(gallery.model, name=name))
    calibration = replace(CALIBRATION, source=name)
    tame = answers_of(gallery, [0, 1], CALIBRATION)
    asked = [*tame, Answers(name, b"", tame[0].answers, True, (name,))]
    plain = [*tame, Answers("plain", b"", tame[0].answers, True, ("plain",))]
    people = [name + label for label in gallery.tracklets["identity"]]
    text = html(asked, odd, people, calibration)
    expected = parsed(plain, gallery, list(gallery.tracklets["identity"]), CALIBRATION).root
    found = Document(text).root

    def shape(root):
        """Tags and names of attributes, without the marks around letters of other scripts."""
        return [(each.tag, sorted(each.attributes)) for each in root.all() if each.tag != "bdi"]

    assert shape(found) == shape(expected)
    text.encode("utf-8")  # a lone surrogate could not be written
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00]", text)
    if name.isascii() and name.isprintable():
        assert name in found.text


def test_the_policy_forbids_requests_and_allows_this_script_only() -> None:
    document = parsed(answers_of(gallery_of(), [0]), gallery_of())
    (policy,) = [m for m in document.root.all("meta") if m.attributes.get("http-equiv")]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.attributes["content"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "connect-src" not in rules
    (script,) = [each for each in document.root.all("script") if not each.attributes]
    digest = base64.b64encode(hashlib.sha256("".join(script.children).encode()).digest()).decode()
    assert rules["script-src"] == f"'sha256-{digest}'"
    for element in document.root.all():
        assert not [name for name in element.attributes if name.startswith("on")], element.tag
        assert element.attributes.get("src") is None
        assert element.tag not in ("iframe", "object", "embed", "base")


def test_equal_input_gives_an_equal_page() -> None:
    gallery = gallery_of(strips=True)
    arguments = (answers_of(gallery, [0, 1], CALIBRATION), gallery, people_of(gallery), CALIBRATION)
    assert html(*arguments) == html(*arguments)


def test_a_page_has_bounds_and_says_what_it_omits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "QUERIES", 3)
    monkeypatch.setattr(page, "TRACKLETS", 4)
    gallery = gallery_of(people=12)
    answers = answers_of(gallery, list(range(8)), k=2)
    root = parsed(answers, gallery, people_of(gallery)).root
    assert len(list(root.all("article", class_="query"))) == 3
    shown = len(list(root.all("button", class_="bar")))
    named = {0, 1, 2} | {answer.row for one in answers[:3] for answer in one.answers}
    assert shown == len(named) + 4
    (remark,) = [each.text for each in root.all("p", class_="remark") if each.parent.tag == "header"]
    assert "3 of 8" in remark
    assert str(len(gallery) - shown) in remark


def test_errors_name_the_rule_and_leave_the_previous_page(tmp_path: Path) -> None:
    path = tmp_path / "result.html"
    path.write_text("before")
    gallery = gallery_of(strips=True)
    answers = answers_of(gallery, [0])
    with pytest.raises(InputError, match="8 tracklets, got 1"):
        write_page(path, answers, gallery, [1])
    broken = replace(gallery, strips=(b"GIF89a<script>",) * 8)
    with pytest.raises(InputError, match="must be a JPEG file, got b'GIF89a"):
        write_page(path, answers_of(broken, [0]), broken)
    assert path.read_text() == "before"
    with pytest.raises(InputError, match="cannot be written"):
        write_page(path / "below", answers, gallery)
    write_page(path, answers, gallery)
    assert [each.name for each in tmp_path.iterdir()] == ["result.html"]
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_a_thousand_tracklets_stay_small_and_take_seconds() -> None:
    gallery = gallery_of(people=250, cameras=4)
    picture = strip(0)
    strips = tuple(picture + bytes([number // 256, number % 256]) for number in range(1000))
    gallery = replace(gallery, strips=strips)
    answers = answers_of(gallery, list(range(1000)), CALIBRATION)
    begin = time.process_time()
    text = html(answers, gallery, people_of(gallery), CALIBRATION)
    assert time.process_time() - begin < 30
    pictures = sum(4 * -(-len(each) // 3) + 4 for each in strips)
    assert text.count("<li value=") == 10 * page.LISTED
    document = Document(text)
    assert len(list(document.root.all())) < 50_000  # elements
    waiting = waiting_of(document)
    assert sum(map(len, waiting["answers"].values())) == 10 * (1000 - page.LISTED)
    assert (len(text.encode()) - pictures) / 10_000 < 400  # bytes of an answer, with its share of all else
    assert np.unique([len(each) for each in strips]).size == 1
