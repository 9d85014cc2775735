"""The page in a real Chromium: no error, no request, no sideways scrolling, in both schemes and widths."""

import subprocess
import sys

import pytest

from tests.browser import NEEDS_BROWSER, opened, outside
from tests.tiny import ROOT

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def path(large, tmp_path_factory):
    """A page of the default run's size as a file."""
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(large, encoding="utf-8")
    return path


@pytest.mark.parametrize(("width", "tallest", "frame"), [(390, 20_000, 76), (1280, 12_000, 102)])
def test_a_page_of_the_default_run_is_short_and_its_film_strips_are_large(
    browser, path, width, tallest, frame
):
    with opened(browser, path, viewport={"width": width, "height": 844}) as page:
        assert page.evaluate("document.documentElement.scrollHeight") <= tallest
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        widths = "(names) => [...document.querySelectorAll(names)].map(e => e.getBoundingClientRect().width)"
        assert min(page.evaluate(widths, ".clip svg, .clip img")) >= 4 * frame
        assert min(page.evaluate(widths, ".ranked li img")) >= 76
        rows = "[...document.querySelectorAll('.ranked ol')].map(o => [...o.children].map(l => l.offsetTop))"
        tops = page.evaluate(rows)
        assert {len(row) for row in tops} == {10}
        assert all(len(set(row)) == 1 for row in tops)  # ten answers in one row
        if width == 1280:  # all of them are seen at once
            assert page.evaluate(
                "[...document.querySelectorAll('.row')].every(r => r.scrollWidth <= r.clientWidth)"
            )


@pytest.mark.parametrize("width", [390, 1280])
def test_charts_are_drawn_at_every_width(browser, path, width):
    with opened(browser, path, viewport={"width": width, "height": 844}) as page:
        charts = "[...document.querySelectorAll('figure')].filter(f => f.checkVisibility())"
        heights = f"{charts}.map(f => f.querySelector('.chart svg').getBoundingClientRect().height)"
        assert min(page.evaluate(heights)) > 50
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_navigation_stays_in_view(browser, path):
    with opened(browser, path, viewport={"width": 1280, "height": 844}) as page:
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        assert page.evaluate("document.querySelector('nav').getBoundingClientRect().top") == 0


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_loads_alone_and_fits(browser, path, width):
    with opened(browser, path, viewport={"width": width, "height": 844}) as page:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            sizes = page.evaluate(
                "[...document.images].map(i => [i.complete, i.naturalWidth, i.naturalHeight, i.alt])"
            )
            assert sizes
            assert all(done and w > 0 and h > 0 and words for done, w, h, words in sizes)
        assert not page.complaints
        assert not outside(page.requests, path)


def test_a_scheme_changes_paper_and_ink_which_stay_readable(browser, path):
    measure = """() => {
      const light = (colour) => {
        const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255);
        const [r, g, b] = parts.map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const paper = getComputedStyle(document.body).backgroundColor;
      const names = ["body", ".scope", "a", "th", ".right b", ".wrong b", ".chart .role-axis-title text"];
      const inks = names.map((name) => {
        const style = getComputedStyle(document.querySelector(name));
        return name.endsWith("text") ? style.fill : style.color;
      });
      return inks.map((ink) => {
        const [low, high] = [light(ink), light(paper)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
      }).concat(light(paper));
    }"""
    papers = []
    with opened(browser, path) as page:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            *contrasts, paper = page.evaluate(measure)
            assert min(contrasts) >= 4.5  # WCAG 2.2, 1.4.3
            papers.append(paper)
    assert papers[0] > 0.9 > 0.1 > papers[1]


def test_links_lead_somewhere_and_the_keyboard_gets_there(browser, path):
    with opened(browser, path) as page:
        names = page.evaluate("[...document.links].map(a => a.getAttribute('href').slice(1))")
        assert names
        assert page.evaluate("(names) => names.every(n => document.getElementById(n))", names)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#main"
        scrolling = "[...document.querySelectorAll('.scroll')].every(d => d.tabIndex === 0)"
        assert page.evaluate(scrolling)


def test_wide_tables_scroll_in_themselves_on_a_phone_and_say_so(browser, path):
    with opened(browser, path, viewport={"width": 390, "height": 844}) as page:
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        hinted = page.evaluate("""[...document.querySelectorAll('.scroll')]
            .filter(d => d.scrollWidth > d.clientWidth)
            .map(d => getComputedStyle(d.querySelector('caption span'), '::after').content)""")
        assert hinted
        assert "none" not in hinted
        page.set_viewport_size({"width": 1280, "height": 844})
        hints = (
            "[...document.querySelectorAll('caption span')].map(s => getComputedStyle(s, '::after').content)"
        )
        assert set(page.evaluate(hints)) == {"none"}


def test_dvc_s_plots_are_drawn_without_a_network(browser, tmp_path):
    done = subprocess.run(
        [sys.executable, "tools/plots.py", "show", "-o", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    path = tmp_path / "index.html"
    with opened(browser, path) as page:
        page.wait_for_selector(".vega-embed canvas, .vega-embed svg")
        assert not outside(page.requests, path)
        assert page.locator(".vega-embed").count() >= 5
        assert not [words for words in page.complaints if "error" in words.lower()]
