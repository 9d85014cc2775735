"""A page in a real Chromium, where one is installed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
NEEDS_BROWSER = pytest.mark.skipif(
    CHROMIUM is None, reason=f"no browser is installed (none of {', '.join(NAMES)}): apt-get install chromium"
)
PATIENCE = 300_000  # milliseconds, on a machine that is busy with other work
WINDOW = {"width": 1280, "height": 720}


class Tabs:
    """The tabs of a browser, one for each choice of settings that a tab keeps as long as it is open.

    Pages are loaded in the same tab one after another: a new tab needs processes of its own, which costs
    several times as much as a page. No tab has a network.
    """

    def __init__(self, running):
        self.running, self.open = running, {}

    def tab(self, **settings):
        """A tab, the same for the same settings."""
        key = tuple(sorted(settings.items()))
        if key not in self.open:
            context = self.running.new_context(offline=True, **settings)
            context.set_default_timeout(PATIENCE)
            self.open[key] = page = context.new_page()
            page.requests, page.complaints = [], []
            page.on("request", lambda request: page.requests.append(request.url))
            page.on("console", lambda message: page.complaints.append(message.text))
            page.on("pageerror", lambda error: page.complaints.append(str(error)))
        return self.open[key]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """One headless Chromium for all tests of a file."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        arguments = {"executable_path": CHROMIUM, "args": ["--no-sandbox"], "timeout": PATIENCE}
        running = driver.chromium.launch(**arguments)
        yield Tabs(running)
        running.close()


@contextmanager
def opened(browser, path, viewport=WINDOW, **settings):
    """The page at a path, newly loaded, with what it requests and complains about."""
    page = browser.tab(**settings)
    page.mouse.move(-1, -1)  # over nothing
    page.set_viewport_size(viewport)
    page.emulate_media(color_scheme="light")
    page.requests, page.complaints = [], []
    page.goto(path.as_uri(), wait_until="load")
    try:
        yield page
    finally:  # without another page in between, the same page would keep its place and what was typed in
        page.goto("about:blank")


def outside(requests, path):
    """The URLs that a page requested besides its own file."""
    return [url for url in requests if url != path.as_uri() and not url.startswith(("data:", "blob:"))]


def wait_until(page, expression, seconds=10):
    """Wait for a condition; the page's own content policy forbids Playwright's wait_for_function."""
    for _ in range(seconds * 20):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within {seconds} seconds: {expression}")
