"""The HTML reports of the stored notebooks, looked at in a real headless browser.

Needs Chromium with its driver, and axe-core (`npm ci --prefix tests`).
"""

import json
import os
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from test_reports import example, write_notebook

from garment_utils import reports
from garment_utils.paths import NOTEBOOKS

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
STORED = {path.stem: path for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
EXAMPLE = "99_example"  # made up: it has what the stored notebooks do not have, such as an error
PAGES = [*STORED, EXAMPLE, "index"]
PHONE, LAPTOP = 390, 1280  # widths in CSS pixels


def unavailable(reason):
    """Skip where a learner has no browser; on a build machine that would hide everything."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        unavailable("Chromium and chromedriver are needed to look at the reports.")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a build folder with the pages of all stored notebooks, made as the batch does."""
    folder = tmp_path_factory.mktemp("site")
    write_notebook(example(failed=True), folder / "failed" / "98_failed.ipynb")
    write_notebook(example(failed=True), folder / "notebooks" / f"{EXAMPLE}.ipynb")
    for stored in STORED.values():
        shutil.copy(stored, folder / "notebooks")
    stems = [*STORED, EXAMPLE]
    for stem in stems:
        executed, html = folder / "notebooks" / f"{stem}.ipynb", folder / f"{stem}.html"
        reports.write_report(executed, html, pages=stems)
    reports.write_index(folder, profile="fast")
    return folder


@pytest.fixture
def show(browser, site):
    """Return a function that opens a page at a width, in light or dark, and gives the browser."""

    def show(name, *, width=LAPTOP, scheme="light"):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width == PHONE},
        )
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        # What was logged before belongs to another page.
        browser.get_log("browser"), browser.get_log("performance")
        browser.get((site / f"{name}.html").as_uri())
        return browser

    return show


def requests(browser):
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]


@pytest.mark.parametrize("name", PAGES)
def test_the_console_stays_silent(show, name):
    messages = show(name).get_log("browser")
    assert [entry for entry in messages if entry["level"] in ("SEVERE", "WARNING")] == []


@pytest.mark.parametrize("name", PAGES)
def test_no_request_leaves_the_page(show, name):
    browser = show(name)
    asked = [url for url in requests(browser) if not url.startswith("data:")]
    assert asked == [browser.current_url]


@pytest.mark.parametrize("name", [name for name in PAGES if name != "index"])
def test_all_figures_are_drawn_and_described(show, site, name):
    images = show(name).execute_script(
        "return [...document.images].map(image => [image.alt, image.naturalWidth])"
    )
    stored = reports.figures(reports.nbformat.read(site / "notebooks" / f"{name}.ipynb", 4))
    assert [alt for alt, _ in images] == [alt for _, alt in stored.values()]
    assert all(width > 0 for _, width in images)


@pytest.mark.parametrize("width", [PHONE, LAPTOP])
@pytest.mark.parametrize("name", PAGES)
def test_the_page_does_not_scroll_sideways(show, name, width):
    # Compared with the given width: a phone's innerWidth grows with what is too wide.
    wide = show(name, width=width).execute_script("return document.scrollingElement.scrollWidth")
    assert wide <= width


@pytest.mark.parametrize("name", PAGES)
def test_wide_content_scrolls_by_itself_and_is_reached_with_the_keyboard(show, name):
    boxes = show(name, width=PHONE).execute_async_script(
        # After the page's own script has measured them.
        """const done = arguments[0];
        requestAnimationFrame(() => setTimeout(() => done(
          [...document.querySelectorAll(".scroll")].map(box => [
            box.scrollWidth > box.clientWidth, getComputedStyle(box).overflowX,
            box.tabIndex, box.ariaLabel]))))"""
    )
    for wide, overflow, tab, label in boxes:
        assert (tab == 0) == wide, label
        assert overflow == "auto" and label
    assert name != EXAMPLE or {wide for wide, *_ in boxes} == {True, False}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_serious_barrier(show, name, scheme):
    if not AXE.exists():
        unavailable("axe-core is needed to check the reports: npm ci --prefix tests")
    browser = show(name, scheme=scheme)
    assert browser.execute_script(f"return matchMedia('(prefers-color-scheme: {scheme})').matches")
    browser.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = 1")
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    result = browser.execute_async_script("axe.run().then(arguments[0])")
    assert len(result["passes"]) > 10  # it did run
    barriers = [
        f"{found['id']}: {node['html'][:120]} {node['failureSummary']}"
        for found in result["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]
    assert not barriers, "\n".join(barriers)
