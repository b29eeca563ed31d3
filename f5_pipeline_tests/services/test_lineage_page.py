"""What a person sees: the lineage, a launch for a partition, its waveform and its links, in a real browser."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from f5_pipeline_tests.support.installation import Services
from f5_pipeline_tests.support.waiting import wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
ASSETS = ("script", "narration_plan", "takes", "narration_audio", "timing_files", "download_links")


@pytest.fixture(scope="module")
def page(services) -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def keep(page, name: str) -> None:
    """Keep a picture where F5_TEST_SCREENSHOTS names a folder."""
    if folder := os.environ.get("F5_TEST_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png")


def visible(page, text: str):
    """The last visible element with a text: the UI keeps hidden ones to measure."""
    return page.locator(f"text={text} >> visible=true").last


def test_the_lineage_is_seen(services: Services, page):
    page.goto(f"{services.ui}/locations/f5_pipeline/asset-groups/narration/lineage")
    for name in ASSETS:
        visible(page, name).wait_for()
    page.wait_for_timeout(1000)
    keep(page, "lineage")


LIMIT = 'mutation {{ setConcurrencyLimit(concurrencyKey: "{key}", limit: 7) }}'
KEYS = "{ instance { concurrencyLimits { concurrencyKey } } }"
ATTACK = """async ([ui, mutations]) => {
    const body = JSON.stringify({query: mutations[0]});
    await fetch(ui + "/graphql", {method: "POST", mode: "no-cors", body, headers: {"Content-Type": "text/plain"}});
    const link = ui + "/graphql?query=" + encodeURIComponent(mutations[1]);
    await new Promise((done) => {
        const image = new Image();
        image.onload = image.onerror = done;
        image.src = link;
    });
    const read = await fetch(ui + "/graphql", {method: "POST", body}).then(() => "read", () => "refused");
    const socket = new WebSocket(ui.replace("http", "ws") + "/graphql", "graphql-ws");
    const talk = await new Promise((done) => {
        socket.onopen = () => done("open");
        socket.onerror = () => done("closed");
    });
    window.open(link, "_blank");
    return [read, talk];
}"""


def test_a_page_of_another_origin_reaches_nothing(services: Services, page):
    """By fetch, an image, a WebSocket and a new window; the same mutation works for who may."""
    other = page.context.browser.new_context().new_page()
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        other.goto(f"http://127.0.0.1:{server.server_port}/")
        mutations = [LIMIT.format(key="by-post"), LIMIT.format(key="by-link")]
        with other.context.expect_page() as window:
            assert other.evaluate(ATTACK, [services.ui, mutations]) == ["refused", "closed"]
        window.value.wait_for_load_state()
        assert "A query comes by POST here" in window.value.locator("body").inner_text()
        window.value.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        other.context.close()
    services.graphql(LIMIT.format(key="by-right"))
    keys = {limit["concurrencyKey"] for limit in services.graphql(KEYS)["instance"]["concurrencyLimits"]}
    assert "by-right" in keys and not keys & {"by-post", "by-link"}


def test_a_narration_is_launched_and_its_waveform_and_links_are_seen(services: Services, page):
    script = services.installation.write(
        "browser.md", "# A page\n\nThis narration is launched in a browser. It is short.\n"
    )
    services.installation.run("scripts", "add", script, "--voice", "ada")

    page.goto(f"{services.ui}/locations/f5_pipeline/jobs/narrate")
    visible(page, "Materialize all").click()
    visible(page, "Select a partition or create one").click()
    visible(page, "browser").click()
    page.keyboard.press("Escape")
    keep(page, "launch")
    page.locator("button:has-text('Launch') >> visible=true").last.click()
    links = services.installation.store
    wait_for("links", lambda: links.exists("narrations/browser/links.json"))

    page.goto(f"{services.ui}/assets/narration_audio?view=partitions&partition=browser")
    picture = page.locator("img[src^='data:image/png'] >> visible=true").first
    picture.wait_for()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 200
    page.wait_for_timeout(500)
    keep(page, "narration_audio")

    page.goto(f"{services.ui}/assets/download_links?view=partitions&partition=browser")
    listen = page.locator(f"a[href^='{services.links}/n/'] >> visible=true").first
    listen.wait_for()
    keep(page, "download_links")
    address = listen.get_attribute("href")
    for suffix in (".flac", ".mp3", ".srt", ".vtt", ".words.csv", ".words.json"):
        assert page.locator(f"a[href$='/browser{suffix}'] >> visible=true").count() >= 1

    page.goto(address)
    # The page's policy allows no code of others, so the test asks again and again itself.
    wait_for("audio", lambda: page.evaluate("document.querySelector('audio').readyState >= 1"))
    length = page.evaluate("document.querySelector('audio').duration")
    assert 2 < length < 20
    page.evaluate("document.querySelector('audio').play()")
    wait_for("sound", lambda: page.evaluate("document.querySelector('audio').currentTime > 1"))
    wait_for("text", lambda: "launched in a browser" in page.locator("#text").inner_text())
    keep(page, "listening_page")


@pytest.mark.parametrize("asset", ["reference_audio", "narration_plan", "takes", "timing_files"])
def test_partition_pages_tell_what_was_made(services: Services, page, asset):
    partition = "ada" if asset == "reference_audio" else "browser"
    page.goto(f"{services.ui}/assets/{asset}?view=partitions&partition={partition}")
    expected = {
        "reference_audio": "transcript",
        "narration_plan": "takes_needed",
        "takes": "takes_reused",
        "timing_files": "first_captions",
    }
    visible(page, expected[asset]).wait_for()
    page.wait_for_timeout(500)
    keep(page, asset)
