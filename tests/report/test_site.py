"""The page as text: whole, offline, escaped, linked, and the same each time."""

from html.parser import HTMLParser
from itertools import pairwise

from sttreid.report.site import site
from sttreid.report.tables import markdown
from tests.report.conftest import CLAIMS

SECTIONS = [
    "The paper's claims",
    "Cross-domain",
    "Ablation",
    "Training",
    "Temporal attention",
    "Spatial attention",
    "Ranked lists",
    "Map of the embeddings",
    "Protocol: embedded",
    "What makes a query hard",
    "How far apart the domains are",
    "What the paper reports, on other data",
]


class Page(HTMLParser):
    """Tags with their attributes, and headings with their words."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.headings, self.open = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("h1", "h2", "h3", "h4"):
            self.open = (tag, "")

    def handle_data(self, data):
        if self.open:
            self.open = (self.open[0], self.open[1] + data)

    def handle_endtag(self, tag):
        if self.open and tag == self.open[0]:
            self.headings.append(self.open)
            self.open = None

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_all_sections_stand_in_order(whole):
    assert [words for tag, words in Page(whole).headings if tag == "h2"] == SECTIONS


def test_headings_never_skip_a_level(whole):
    levels = [int(tag[1]) for tag, _ in Page(whole).headings]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_link_has_a_target_and_every_name_is_there_once(whole):
    page = Page(whole)
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(names)) == len(names)
    assert {link["href"].removeprefix("#") for link in page.of("a")} <= set(names)
    named = {attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes}
    assert named <= set(names)


def test_pictures_have_words_and_sizes(whole):
    page = Page(whole)
    images = page.of("img")
    assert len(images) == 3 * 4 + 2 * 3
    for image in images:
        assert image["alt"]
        assert int(image["width"]) > 0
        assert int(image["height"]) > 0
    for drawing in page.of("svg"):
        assert drawing["role"] == "img"
        assert drawing["aria-label"]
        assert float(drawing["width"]) > 0


def test_nothing_is_loaded_and_nothing_runs(whole):
    page = Page(whole)
    assert not page.of("script")
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert "@import" not in whole
    assert "url(" not in whole


def test_figures_have_captions_and_tables_scopes(whole):
    page = Page(whole)
    assert len(page.of("figure")) == len(page.of("figcaption")) + len(page.of("ol"))  # a list has its title
    assert all(cell.get("scope") for cell in page.of("th"))
    assert len(page.of("caption")) == len(page.of("table"))
    assert page.of("html") == [{"lang": "en"}]
    assert "width=device-width" in whole


def test_answers_follow_the_paper_s_numbers(found, results, cells, histories, pictures):
    table = markdown(["question", "claim", "in-domain"], [["RQ3", "the <global> branch helps", "supported"]])
    claims = f"# Claims\n\n1 of 5 seeds (0).\n\n## Answers\n\nBy rank-1.\n\n{table}\n\n## Effects\n\nmany"
    text = site(found(results, cells), histories, pictures, claims)
    assert text.index("what is added") < text.index("1 of 5 seeds") < text.index("the &lt;global&gt; branch")
    assert ">many<" not in text
    assert "metrics/claims/claims.md" in text


def test_a_section_of_the_report_that_is_new_is_not_lost(
    found, results, cells, histories, pictures, monkeypatch
):
    from sttreid.report import site as module

    monkeypatch.setattr(module, "report", lambda _: "# Results\n\nintro\n\n## New\n\nwords")
    text = module.site(found(results, cells), histories, pictures, CLAIMS)
    assert "words" in text
    assert '<h2 id="new-title">New</h2>' in text


def test_names_are_escaped(found, results, cells, histories, pictures):
    for cell in cells[:2]:
        cell["variant"] = "a<b&c"
    text = site(found(results, cells), histories, pictures, CLAIMS)
    assert "a<b&c" not in text
    assert "a&lt;b&amp;c" in text


def test_equal_results_give_equal_bytes(whole, found, results, cells, histories, pictures):
    assert whole == site(found(results, cells), histories, pictures, CLAIMS)
    assert whole.endswith("</html>\n")
