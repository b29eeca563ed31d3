"""The page in a real browser: it loads, plays, lights the words it speaks, and runs nothing that is not ours."""

from __future__ import annotations

import os
import re
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
from f5_pipeline_tests.support.deliveries import BASE, deliver, give, service
from f5_pipeline_tests.support.gateway_studio import Studio, book_studio, spoken_words, words_json
from f5_pipeline_tests.support.waiting import wait_for

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
    playwright.expect.set_options(timeout=60_000)
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
    server = Server(
        uvicorn.Config(app, port=0, lifespan="off", access_log=False, log_level="error", timeout_graceful_shutdown=10)
    )
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


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The URL of a book's page: 20,000 words in 20 chapters, from right to left."""
    studio = book_studio(tmp_path_factory.mktemp("book"))
    with running(studio.app(now=time.time)) as url:
        yield page_url(url, studio.token(now=time.time()))


def opened(browser, address: str, **options):
    page = browser.new_page(**{"viewport": {"width": 1100, "height": 900}, **options})
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("requestfailed", lambda request: page.problems.append(f"{request.url} {request.failure}"))
    page.goto(address)
    return page


def problems(page) -> list[str]:
    """What went wrong; a player that seeks gives up the request it has."""
    return [text for text in page.problems if not text.endswith("?inline=1 net::ERR_ABORTED")]


# Playwright's own waiting for an expression needs `eval`, which the page's policy rightly forbids.
KEEP_LIT = """() => {
    window.wasLit = [];
    const see = () => document.querySelectorAll("#text .lit").forEach((word) => window.wasLit.push(word.textContent));
    new MutationObserver(see).observe(document.querySelector("#text"), { subtree: true, attributes: true });
}"""
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


def seek(page, seconds: float) -> None:
    page.locator("#audio").evaluate("(audio, seconds) => { audio.currentTime = seconds; }", seconds)


def time_of(page) -> float:
    return page.locator("#audio").evaluate("(audio) => audio.currentTime")


def test_it_plays_and_the_spoken_word_is_lit(browser, address):
    from playwright.sync_api import expect

    page = opened(browser, address)
    audio, lit = page.locator("#audio"), page.locator("#text .lit")
    assert audio.evaluate(HAS_METADATA)
    assert abs(audio.evaluate("(audio) => audio.duration") - 8) < 0.2
    assert audio.evaluate("(audio) => audio.currentSrc").endswith("engine.mp3?inline=1")
    expect(page.locator("#text .passage")).to_have_count(2)
    assert "flowers & leaves." in page.locator("#text").inner_text()
    assert page.locator("#text .speaker").all_inner_texts() == ["Ada", "Charles"]

    seek(page, 2.3)
    expect(lit).to_have_text("just")
    seek(page, 4.45)  # a pause
    expect(lit).to_have_count(0)
    audio.evaluate("(audio) => audio.play()")
    assert audio.evaluate(HAS_MOVED)

    page.get_by_text("calculations", exact=True).click()
    expect(page.locator(".passage[aria-current]")).to_contain_text("steam")
    assert time_of(page) >= 5.64
    page.get_by_role("button", name="Play from 0:00").click()
    expect(lit).to_have_text(re.compile("The|Analytical"))
    page.get_by_role("link", name="By steam").click()
    expect(page.locator("#chapters [aria-current]")).to_contain_text("By steam")
    assert time_of(page) >= 4.6
    audio.evaluate("(audio) => audio.pause()")

    slider = page.get_by_role("slider", name="Position")
    expect(page.locator("#section")).to_have_text("By steam")
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)  # of the chapter, 4.6 to 8 s
    assert time_of(page) == pytest.approx(6.3, abs=0.1)
    expect(slider).to_have_attribute("aria-valuetext", "0:06 of 0:08")
    assert page.locator("#waveform path").first.get_attribute("d").count("M") == 200
    assert problems(page) == []
    page.close()


def test_keys_and_speed(browser, address):
    from playwright.sync_api import expect

    page = opened(browser, address)
    audio = page.locator("#audio")
    assert audio.evaluate(HAS_METADATA)
    seek(page, 1)
    for key, seconds in (("ArrowRight", 6), ("ArrowLeft", 1), ("l", 8), ("J", 0)):
        page.keyboard.press(key if key != "J" else "j")
        assert time_of(page) == pytest.approx(seconds, abs=0.2), key
    page.get_by_role("slider", name="Position").press("ArrowRight")
    assert time_of(page) == pytest.approx(5, abs=0.1)
    page.locator("#text").press(" ")
    assert audio.evaluate(HAS_MOVED)
    page.keyboard.press("k")
    assert audio.evaluate("(audio) => audio.paused")
    page.get_by_role("combobox", name="Speed").select_option("1.5")
    assert audio.evaluate("(audio) => audio.playbackRate") == 1.5
    page.reload()
    expect(page.get_by_role("combobox", name="Speed")).to_have_value("1.5")
    assert page.locator("#audio").evaluate("(audio) => audio.playbackRate") == 1.5
    page.get_by_text("Keys and memory").click()
    page.get_by_role("checkbox", name="Use these keys").uncheck()
    at = time_of(page)
    page.locator("#text").press("l")
    assert time_of(page) == at
    assert problems(page) == []
    page.close()


def test_it_goes_on_where_one_stopped(browser, book):
    from playwright.sync_api import expect

    context = browser.new_context()
    page = context.new_page()
    page.goto(book + "#t=1000.5")
    audio, note = page.locator("#audio"), page.locator("#place")
    assert audio.evaluate(HAS_METADATA) and time_of(page) == pytest.approx(1000.5, abs=0.1)
    audio.evaluate("(audio) => audio.play()")
    assert audio.evaluate(HAS_MOVED)
    audio.evaluate("(audio) => audio.pause()")
    page.goto("about:blank")
    page.goto(book)
    expect(note).to_contain_text("Playing goes on at 16:4")
    assert page.locator("#audio").evaluate(HAS_METADATA) and time_of(page) == pytest.approx(1001, abs=2)
    shoot(page, "place")
    page.get_by_role("button", name="Forget this place").click()
    expect(note).to_have_text("Your place is forgotten.")
    page.reload()
    expect(page.locator("#text .passage").first).to_be_visible()
    assert time_of(page) == 0 and note.inner_text() == ""

    seek(page, 500)
    page.locator("#audio").evaluate("(audio) => audio.play()")
    assert page.locator("#audio").evaluate(HAS_MOVED)
    page.get_by_text("Keys and memory").click()
    page.get_by_role("button", name="Forget all of it").click()
    expect(note).to_contain_text("keeps nothing")
    page.goto("about:blank")
    page.goto(book)
    expect(page.locator("#text .passage").first).to_be_visible()
    assert page.evaluate("localStorage.length") == 0 and time_of(page) == 0
    context.close()


def test_of_a_book_only_what_is_near_is_in_the_page(browser, book):
    from playwright.sync_api import expect

    page = opened(browser, book)
    words = page.locator("#text p > span")
    expect(page.locator("#chapters a")).to_have_count(20)
    for seconds in (3000, 10, 2000.05):
        seek(page, seconds)
        expect(page.locator("#text .lit")).to_have_text(f"كلمة{int(seconds * 5)}")
        expect(page.locator("#text .lit")).to_be_in_viewport()
        assert words.count() < 3000
    passage = page.locator(".passage[aria-current]")
    assert passage.evaluate("(row) => getComputedStyle(row).direction") == "rtl"
    expect(page.locator("#chapters [aria-current]")).to_contain_text("11")

    follow = page.get_by_role("button", name="Follow the voice again")
    page.locator("#text").hover()
    page.mouse.wheel(0, 30_000)
    expect(follow).to_be_visible()
    expect(page.locator("#text .lit")).not_to_be_in_viewport()
    expect(words.first).to_be_attached()
    seek(page, 2001)  # the text stays where it is read
    expect(page.locator("#text .lit")).to_have_text("كلمة10005")
    expect(page.locator("#text .lit")).not_to_be_in_viewport()
    follow.click()
    expect(page.locator("#text .lit")).to_be_in_viewport()
    assert words.count() < 3000
    shoot(page, "book")
    assert problems(page) == []
    page.close()


def test_it_fits_and_is_accessible(browser, address):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(browser, address)
    page.wait_for_selector("#text .passage")
    page.get_by_text("Keys and memory").click()
    seek(page, 1.0)
    page.wait_for_selector("#text .lit")
    for width, height, schemes in (
        (1440, 900, ("light", "dark")),
        (820, 1180, ("dark",)),
        (390, 844, ("light",)),
        (320, 640, ("dark", "light")),
    ):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width}: it scrolls sideways"
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            results = Axe().run(page)
            assert not results.violations_count, f"{scheme}, {width}:\n{results.generate_report()}"
            shoot(page, f"{scheme}-{width}")
    assert problems(page) == []
    page.close()


def test_without_scripts_it_is_a_player_and_a_list(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("audio").is_visible() and page.locator(".files a").count() == 7
    for hidden in ("#reading", "#waveform", "#controls"):
        assert not page.locator(hidden).is_visible()
    assert "The loom" in page.locator("#chapters").inner_text()
    shoot(page, "no-script")
    page.get_by_role("link", name="By steam").click()
    assert page.url.endswith("/engine.mp3?inline=1#t=4.600")
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
    bucket = moto_server.make_bucket(f"page-{uuid.uuid4().hex[:12]}")
    access = Access(moto_server.key_id, moto_server.key, moto_server.endpoint, moto_server.region)
    store = connect(f"s3://{bucket}/studio", access)
    files = {name: playable.path(name).read_bytes() for name in playable.files}
    deliver(store, "r1", files)
    links = give(store, "r1")
    deliver(store, "r2", files)
    assert give(store, "r2").page == links.page
    with running(service(store, presign_seconds=60).app) as url:
        page = opened(browser, links.page.replace(BASE, url))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        audio = page.locator("#audio")
        assert audio.evaluate(HAS_METADATA)
        page.evaluate(KEEP_LIT)
        page.get_by_text("steam.", exact=True).click()
        wait_for("the word to be lit", lambda: "steam." in page.evaluate("window.wasLit"))
        audio.evaluate("(audio) => audio.pause()")
        shoot(page, "bucket")
        assert page.get_by_text("always shows the newest revision").is_visible()
        assert not [one for one in asked if not one.startswith(url)]
        assert problems(page) == []
        with page.expect_download() as waiting:
            page.get_by_text("engine.flac").click()
        assert waiting.value.url.startswith(moto_server.endpoint)
        assert waiting.value.suggested_filename == "engine.flac"
        assert Path(waiting.value.path()).read_bytes() == files["engine.flac"]
        page.close()


def test_words_cannot_bring_markup(browser, address, playable):
    evil = "<img src=x onerror=alert(1)>&lt;img&gt;"
    del playable.files["engine.words.json"]
    playable.add("evil.words.json", words_json(spoken_words([(evil, 0, 5, evil)])))
    page = opened(browser, address)
    page.wait_for_selector("#text .passage")
    assert (
        page.locator("#text img").count() == 0 and "onerror=alert(1)>&lt;img&gt;" in page.locator("#text").inner_text()
    )
    assert problems(page) == []
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
