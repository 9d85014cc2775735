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


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """One headless Chromium for all tests of a file."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        arguments = {"executable_path": CHROMIUM, "args": ["--no-sandbox"], "timeout": PATIENCE}
        running = driver.chromium.launch(**arguments)
        yield running
        running.close()


@contextmanager
def opened(browser, path, **settings):
    """The page at a path, with what was requested and complained about while it loaded."""
    context = browser.new_context(**settings)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.requests, page.complaints = [], []
    page.on("request", lambda request: page.requests.append(request.url))
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(path.as_uri(), wait_until="load")
    yield page
    context.close()


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
