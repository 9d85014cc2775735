"""The page of a search in a real Chromium, opened as a file: filter, timeline, keyboard, widths, schemes."""

import json
from dataclasses import replace

import pytest

from sttreid.search import page
from sttreid.search.page import write_page
from tests.browser import NEEDS_BROWSER, opened, outside, wait_until
from tests.search.galleries import gallery_of
from tests.search.results import CALIBRATION, answers_of

pytestmark = NEEDS_BROWSER
LONG = "camera-of-the-entrance-" * 9
SHOWN = "[...document.querySelectorAll('.answer')].filter(a => a.checkVisibility())"
FITS = "document.documentElement.scrollWidth <= innerWidth"
SIZES = {name: {"width": width, "height": 844} for name, width in (("phone", 390), ("desk", 1280))}


@pytest.fixture(scope="module")
def gallery():
    """Twelve people in three cameras; names as long as a file system allows."""
    gallery = gallery_of(people=12, cameras=3, noise=0.5, strips=True)
    table = gallery.tracklets.replace({"video": {"cam3.mp4": f"{LONG}.mp4"}, "camera": {"cam3": LONG}})
    return replace(gallery, tracklets=table)


@pytest.fixture(scope="module")
def path(gallery, tmp_path_factory):
    """Three queries with probabilities, labels and people."""
    path = tmp_path_factory.mktemp("page") / "result.html"
    people = [int(label[1:]) for label in gallery.tracklets["identity"]]
    write_page(path, answers_of(gallery, [0, 1, 14], CALIBRATION), gallery, people, CALIBRATION)
    return path


@pytest.fixture(scope="module")
def bare(gallery, tmp_path_factory):
    """One query without calibration, labels, people and strips."""
    path = tmp_path_factory.mktemp("page") / "bare.html"
    gallery = replace(gallery, strips=(), tracklets=gallery.tracklets.assign(identity=None))
    write_page(path, answers_of(gallery, [0]), gallery)
    return path


@pytest.mark.parametrize("size", SIZES)
def test_the_page_loads_alone_and_fits(browser, path, size):
    with opened(browser, path, viewport=SIZES[size]) as page:
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(FITS)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        page.locator(".bar").first.click()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(FITS)
        assert not page.complaints
        assert not outside(page.requests, path)


def test_without_calibration_and_strips_it_fits_and_filters_by_distance(browser, bare):
    with opened(browser, bare, viewport=SIZES["phone"]) as page:
        assert page.evaluate(FITS)
        count = page.evaluate(f"{SHOWN}.length")
        assert count == 10
        page.focus("#bound")
        page.keyboard.press("Home")  # the smallest bound is at the nearest answer
        assert page.evaluate(f"{SHOWN}.length") <= 1
        page.locator(".bar").first.click()
        assert page.locator("#chosen .card").count() == 1
        assert page.locator("#chosen .pair").count() == 0  # a distance to a query says nothing here
        assert not page.complaints


def test_film_strips_come_when_they_are_near(browser, path):
    with opened(browser, path, viewport=SIZES["phone"]) as page:
        wait_until(page, "document.querySelector('.query img').naturalWidth === 96")
        last = page.locator("#people .person img").last
        assert last.get_attribute("src") is None
        last.scroll_into_view_if_needed()
        wait_until(page, "[...document.querySelectorAll('#people .person img')].at(-1).naturalWidth === 96")


def test_cameras_probability_and_threshold_filter_the_answers(browser, path):
    with opened(browser, path, viewport=SIZES["desk"]) as page:
        assert page.evaluate(f"{SHOWN}.length") == 30
        box = page.locator("[name=camera]").nth(1)
        number = box.get_attribute("value")
        box.uncheck()
        cameras = page.evaluate(f"{SHOWN}.map(a => a.dataset.camera)")
        assert cameras
        assert number not in cameras
        lanes = "[...document.querySelectorAll('.lane')].filter(a => a.checkVisibility())"
        assert page.evaluate(f"{lanes}.map(a => a.dataset.camera)") == [
            each for each in ("0", "1", "2") if each != number
        ]
        assert page.text_content("#count").startswith(f"{len(cameras)} of 30 ")
        box.check()
        page.focus("#bound")
        for _ in range(20):
            page.keyboard.press("ArrowRight")
        assert page.text_content("#filter output") == "20 %"
        shares = page.evaluate(f"{SHOWN}.map(a => Number(a.dataset.percent))")
        assert 0 < len(shares) < 30
        assert min(shares) >= 20
        page.keyboard.press("End")
        assert page.locator(".none:visible").count() > 0
        page.get_by_role("button", name="Show all").click()
        wait_until(page, f"{SHOWN}.length === 30")
        page.locator("[name=near]").check()
        assert 0 < page.evaluate(f"{SHOWN}.length") < 30
        assert page.evaluate(f"{SHOWN}.every(a => !a.classList.contains('far'))")


def test_queries_are_found_and_ordered(browser, path):
    queries = "[...document.querySelectorAll('.query')].filter(a => a.checkVisibility()).map(a => a.id)"
    with opened(browser, path, viewport=SIZES["desk"]) as page:
        assert page.evaluate(queries) == ["q1", "q2", "q3"]
        page.fill("[name=find]", "CAM2.mp4:3")
        assert page.evaluate(queries) == ["q3"]
        page.fill("[name=find]", "nowhere")
        assert page.evaluate(queries) == []
        page.fill("[name=find]", "")
        firsts = "[...document.querySelectorAll('.query .answer:first-child')]"
        best = f"{firsts}.map(a => Number(a.dataset.distance))"
        page.select_option("[name=order]", "far")
        distances = page.evaluate(best)
        assert distances == sorted(distances, reverse=True)
        page.select_option("[name=order]", "near")
        assert page.evaluate(best) == sorted(distances)


def test_the_keyboard_reaches_everything_and_moves_in_the_timeline(browser, path):
    active = "document.activeElement.dataset.row"
    with opened(browser, path, viewport=SIZES["desk"]) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.name") == "camera"
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid"
        stops = page.evaluate(
            "[...document.querySelectorAll('.lane')].map(l => l.querySelectorAll('[tabindex=\"0\"]').length)"
        )
        assert stops == [1, 1, 1]
        page.locator(".bar").first.focus()
        start = page.evaluate(active)
        page.keyboard.press("ArrowRight")
        assert page.evaluate(active) != start
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.closest('.lane').dataset.camera") == "1"
        page.keyboard.press("Enter")
        chosen = page.locator(".bar[aria-pressed=true]")
        assert chosen.count() == 3  # the same person in three cameras
        assert len(set(chosen.all_text_contents())) == 1
        assert page.locator("#chosen li").count() == 3
        page.keyboard.press("Escape")
        assert chosen.count() == 0
        assert page.locator("#chosen").is_hidden()


def test_a_query_is_shown_in_the_timeline_with_the_ranks_of_its_answers(browser, path):
    with opened(browser, path, viewport=SIZES["desk"]) as page:
        page.locator("#q2 .locate").click()
        ranks = page.evaluate("[...document.querySelectorAll('.bar[data-rank]')].map(b => b.dataset.rank)")
        assert sorted(ranks) == sorted(["?", *map(str, range(1, 11))])
        wait_until(
            page,
            "(() => { const t = document.querySelector('#timeline').getBoundingClientRect().top;"
            " return t >= 0 && t < innerHeight / 2; })()",
        )


def test_a_link_opens_what_is_folded_or_filtered_away(browser, path):
    with opened(browser, path, viewport=SIZES["desk"]) as page:
        page.fill("[name=find]", "nowhere")
        page.evaluate("location.hash = '#q3'")
        wait_until(page, "document.activeElement.id === 'q3'")
        assert page.locator("#q3").is_visible()


def test_everything_but_pictures_and_filters_is_there_without_scripts(browser, path):
    with opened(browser, path, viewport=SIZES["phone"], java_script_enabled=False) as page:
        assert page.locator(".answer:visible").count() == 30
        assert page.locator("#filter").is_hidden()
        assert page.locator(".locate:visible").count() == 0


@pytest.fixture(scope="module")
def later(gallery, tmp_path_factory):
    """Forty queries; with the answers in the page, and as numbers; hostile names, a missing label."""
    names = gallery.tracklets["track"] + '<img src=x onerror=alert(1)>"&amp;\u05d0'
    labels = gallery.tracklets["identity"].where(gallery.tracklets.index > 2, None)
    odd = replace(gallery, tracklets=gallery.tracklets.assign(track=names, identity=labels))
    answers = answers_of(odd, list(range(36)), CALIBRATION, k=9)
    people, paths = [f"{label}<b>" for label in gallery.tracklets["identity"]], []
    folder = tmp_path_factory.mktemp("later")
    for count in (1000, 1):
        paths.append(folder / f"{count}.html")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(page, "LISTED", count)
            write_page(paths[-1], answers, odd, people, CALIBRATION)
    return paths


def test_answers_that_are_listed_later_are_as_those_of_the_page(browser, later):
    items = """() => {
      dispatchEvent(new Event("beforeprint"));
      const items = [...document.querySelectorAll("#answers .answer")].map((each) => {
        each.querySelectorAll("bdi").forEach((name) => name.replaceWith(...name.childNodes));
        each.normalize();
        const attributes = (e) => [...e.attributes].map((a) => [a.name, a.value.replace(/[ ;]/g, "")]).sort();
        return [each, ...each.querySelectorAll("*")].map((e) => [e.tagName, attributes(e)]).concat(
          each.textContent.replace(/\\s+/g, ""));
      });
      return JSON.stringify(items);  // Playwright takes seconds for so many values
    }"""
    found = []
    for path in later:
        with opened(browser, path) as page:
            found.append(json.loads(page.evaluate(items)))
            assert not page.complaints
    assert [len(each) for each in found] == [9 * 36] * 2
    for here, there in zip(*found, strict=True):
        assert here == there


def test_answers_come_when_they_are_near_and_are_filtered_before(browser, later):
    with opened(browser, later[1], viewport=SIZES["phone"]) as page:
        last = "document.querySelector('#q36 .answers').childElementCount"
        assert page.evaluate(last) == 0
        page.locator("[name=near]").check()
        count = page.text_content("#count")
        page.locator("#q36").scroll_into_view_if_needed()
        wait_until(page, f"{last} === 9")
        far = (
            "[...document.querySelectorAll('#q36 .answer')].map(a => [a.classList.contains('far'), a.hidden])"
        )
        assert all(beyond == hidden for beyond, hidden in page.evaluate(far))
        assert page.text_content("#count") == count
        assert not page.complaints
    with opened(browser, later[0], viewport=SIZES["phone"]) as page:
        page.locator("[name=near]").check()
        assert page.text_content("#count") == count


def test_the_timeline_shows_answers_that_are_not_listed_yet(browser, later):
    with opened(browser, later[1], viewport=SIZES["desk"]) as page:
        page.evaluate("document.querySelector('#q30 .locate').click()")
        ranks = page.evaluate("[...document.querySelectorAll('.bar[data-rank]')].map(b => b.dataset.rank)")
        assert sorted(ranks) == sorted(["?", *map(str, range(1, 10))])
        page.evaluate("location.hash = '#q36'")
        wait_until(page, "document.querySelector('#q36 .answers').childElementCount === 9")


def test_without_scripts_the_first_queries_have_their_answers(browser, later):
    with opened(browser, later[1], java_script_enabled=False) as page:
        assert page.locator(".answer:visible").count() == 9
        assert page.locator(".query:visible").count() == 36
        assert page.locator("noscript:visible").count() > 0


def test_text_stays_readable_in_both_schemes(browser, path):
    measure = """() => {
      const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      const light = (colour) => {
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
          .map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const behind = (e) => {
        while (e && getComputedStyle(e).backgroundColor === "rgba(0, 0, 0, 0)") e = e.parentElement;
        return getComputedStyle(e || document.body).backgroundColor;
      };
      const texts = "p, a:not(.skip), h2, h3, b, .small, .span, button, label, summary, .rank";
      const contrasts = [...document.querySelectorAll(texts)]
        .filter((e) => e.checkVisibility() && e.textContent.trim())
        .map((e) => [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => a - b))
        .map(([low, high]) => (high + 0.05) / (low + 0.05));
      return [Math.min(...contrasts), light(getComputedStyle(document.body).backgroundColor)];
    }"""
    papers = []
    with opened(browser, path) as page:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            least, paper = page.evaluate(measure)
            assert 21 > least >= 4.5  # WCAG 2.2, 1.4.3
            papers.append(paper)
    assert papers[0] > 0.8 > 0.1 > papers[1]
