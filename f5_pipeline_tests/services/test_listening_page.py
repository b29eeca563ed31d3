"""The page in a real browser: it loads, plays, shows its captions, and runs nothing that is not ours."""

from __future__ import annotations

import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from f5_pipeline.store.connect import connect
from f5_pipeline.store.s3.access import Access
from f5_pipeline.studio.links.tokens import page_url
from f5_pipeline_tests.support.deliveries import BASE, VTT, deliver, give, service
from f5_pipeline_tests.support.gateway_studio import Studio

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]

SHOTS = os.environ.get("F5_TEST_SCREENSHOTS")
"""Folder for screenshots to look at; none are taken where it is unset."""

ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--no-first-run", "--disable-sync", "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield opened
        opened.close()


@contextmanager
def running(app) -> Iterator[str]:
    """An app on a real server; its base URL."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets=None) -> None:
            await super().startup(sockets=sockets)
            ready.set()

    ready = threading.Event()
    server = Server(uvicorn.Config(app, port=0, lifespan="off", access_log=False, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    assert ready.wait(20)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def address(playable: Studio):
    """The page's URL on a real server."""
    with running(playable.app(now=time.time)) as url:
        yield page_url(url, playable.token(now=time.time()))


def opened(browser, address: str, **options):
    page = browser.new_page(**{"viewport": {"width": 1100, "height": 900}, **options})
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("requestfailed", lambda request: page.problems.append(f"{request.url} {request.failure}"))
    page.goto(address)
    return page


# Playwright's own waiting for an expression needs `eval`, which the page's policy rightly forbids.
HAS_METADATA = """(medium) => medium.readyState >= 1 ? true : new Promise((done, fail) => {
    medium.addEventListener("loadedmetadata", () => done(true));
    medium.addEventListener("error", () => fail(new Error("it cannot be played")));
})"""
HAS_MOVED = """(medium) => new Promise((done) => {
    const from = medium.currentTime;
    medium.addEventListener("timeupdate", () => { if (medium.currentTime > from) done(true); });
})"""

HAS_NO_SOURCE = """(medium) => new Promise((done) => {
    const look = () => medium.networkState === HTMLMediaElement.NETWORK_NO_SOURCE ? done(true) : setTimeout(look, 20);
    look();
})"""


def shoot(page, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def test_it_plays_and_its_captions_follow(browser, address):
    from playwright.sync_api import expect

    page = opened(browser, address)
    audio, line = page.locator("#audio"), page.locator("#line")
    assert audio.evaluate(HAS_METADATA)
    assert abs(audio.evaluate("(audio) => audio.duration") - 8) < 0.2
    assert audio.evaluate("(audio) => audio.currentSrc").endswith("engine.mp3?inline=1")
    expect(page.locator("#cues button")).to_have_count(3)
    assert "flowers & leaves" in page.locator("#cues").inner_text()
    assert page.locator("#cues .speaker").all_inner_texts() == ["Ada", "Charles"]

    audio.evaluate("(audio) => { audio.currentTime = 2.5; }")
    expect(line).to_contain_text("just as the Jacquard")
    audio.evaluate("(audio) => audio.play()")
    assert audio.evaluate(HAS_MOVED)

    page.locator("#cues button").nth(2).click()
    expect(line).to_contain_text("executed by steam")
    assert audio.evaluate("(audio) => audio.currentTime") >= 4.6
    current = page.locator("#cues [aria-current]")
    expect(current).to_have_count(1)
    expect(current).to_contain_text("steam")

    page.get_by_role("button", name="The loom").click()
    expect(line).to_contain_text("algebraical")
    audio.evaluate("(audio) => audio.pause()")
    assert page.problems == []
    page.close()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {}),
        ("dark", {"color_scheme": "dark"}),
        ("phone", {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2}),
    ],
)
def test_it_fits(browser, address, name, options):
    page = opened(browser, address, **options)
    page.wait_for_selector("#cues button")
    page.evaluate("document.getElementById('audio').currentTime = 1.0")
    page.wait_for_selector("#cues [aria-current]")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    shoot(page, name)
    assert page.problems == []
    page.close()


def test_without_scripts_it_is_a_player_and_a_list(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("audio").is_visible() and page.locator(".files a").count() == 5
    assert not page.locator("#transcript").is_visible() and not page.locator("#caption").is_visible()
    assert "The loom" in page.locator("#chapters").inner_text()
    shoot(page, "no-script")
    context.close()


def test_a_download_has_its_name_and_its_bytes(browser, address, playable):
    page = opened(browser, address)
    with page.expect_download() as waiting:
        page.get_by_text("engine.flac").click()
    assert waiting.value.suggested_filename == "engine.flac"
    assert Path(waiting.value.path()).read_bytes() == playable.path("engine.flac").read_bytes()
    page.close()


def test_a_sound_of_its_own_plays_in_place(browser, address):
    page = opened(browser, address.replace("/n/", "/d/") + "engine.flac?inline=1")
    assert page.locator("video, audio").evaluate(HAS_METADATA)
    page.close()


def test_at_the_permanent_address_of_a_bucket(browser, playable, moto_server):
    """The page plays from the service; what is downloaded comes from the bucket, under its name."""
    from playwright.sync_api import expect

    bucket = moto_server.make_bucket(f"page-{uuid.uuid4().hex[:12]}")
    access = Access(moto_server.key_id, moto_server.key, moto_server.endpoint, moto_server.region)
    store = connect(f"s3://{bucket}/studio", access)
    files = {name: playable.path(name).read_bytes() for name in playable.files}
    deliver(store, "r1", {**files, "engine.vtt": VTT})
    links = give(store, "r1")
    deliver(store, "r2", files)
    assert give(store, "r2").page == links.page
    with running(service(store, presign_seconds=60).app) as url:
        page = opened(browser, links.page.replace(BASE, url))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        audio = page.locator("#audio")
        assert audio.evaluate(HAS_METADATA)
        expect(page.locator("#cues button")).to_have_count(3)
        page.locator("#cues button").nth(2).click()
        expect(page.locator("#line")).to_contain_text("executed by steam")
        assert audio.evaluate(HAS_MOVED)
        audio.evaluate("(audio) => audio.pause()")
        shoot(page, "bucket")
        assert page.get_by_text("always shows the newest revision").is_visible()
        assert not [one for one in asked if not one.startswith(url)]
        assert page.problems == []
        with page.expect_download() as waiting:
            page.get_by_text("engine.flac").click()
        assert waiting.value.url.startswith(moto_server.endpoint)
        assert waiting.value.suggested_filename == "engine.flac"
        assert Path(waiting.value.path()).read_bytes() == files["engine.flac"]
        page.close()


def test_cues_cannot_bring_markup(browser, address, playable):
    evil = b"WEBVTT\n\n00:00.000 --> 00:05.000\n<img src=x onerror=alert(1)>&lt;img src=x onerror=alert(2)&gt; words\n"
    del playable.files["engine.vtt"]
    playable.add("evil.vtt", evil)
    page = opened(browser, address)
    page.wait_for_selector("#cues button")
    assert (
        page.locator("#cues img").count() == 0 and "<img src=x onerror=alert(2)>" in page.locator("#cues").inner_text()
    )
    assert page.problems == []
    page.close()


def test_what_cannot_be_played_is_said(browser, address, playable):
    for name in ("engine.mp3", "engine.flac"):
        playable.path(name).unlink()
    page = opened(browser, address)
    page.wait_for_selector("#problem:not([hidden])")
    page.close()


def test_what_cannot_be_played_is_said_by_a_script_that_comes_late(browser, address, playable):
    for name in ("engine.mp3", "engine.flac"):
        playable.path(name).unlink()
    page = browser.new_page()
    held = []
    page.route("**/page.js", lambda route: held.append(route))
    page.goto(address, wait_until="commit")
    page.locator("#audio").evaluate(HAS_NO_SOURCE)
    held[0].continue_()
    page.wait_for_selector("#problem:not([hidden])")
    page.close()


def test_the_page_of_a_dead_link(browser, address):
    page = opened(browser, address.replace("/n/", "/n/x"))
    assert page.locator("h1").inner_text() == "This link is not valid"
    assert page.evaluate("getComputedStyle(document.body).margin") == "0px", "the style sheet is not there"
    shoot(page, "notice")
    page.close()
