"""The retake desk in a real browser, from the log-in to a new revision."""

from __future__ import annotations

import pytest

from f5_pipeline_tests.gateway.api.conftest import Api
from f5_pipeline_tests.gateway.api.test_comparisons import VARIANTS, compared
from f5_pipeline_tests.gateway.api.test_desk import doubt, narrated, takes, toy  # noqa: F401
from f5_pipeline_tests.gateway.api.test_narrations import called
from f5_pipeline_tests.services.test_listening_page import CHROMIUM, browser, opened, running, shoot  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]

PLAYS = """() => new Promise((done) => {
    const play = HTMLMediaElement.prototype.play;
    HTMLMediaElement.prototype.play = function () {
        this.addEventListener("ended", () => done(this.duration), { once: true });
        return play.call(this);
    };
    document.querySelector("BUTTON").click();
})"""


def heard(page, button: str) -> float:
    """Press a button that plays, and wait for the end; how long that is, s."""
    return page.evaluate(PLAYS.replace("BUTTON", button))


def check(page, name: str) -> None:
    """It fits and is accessible, at a desk and on a phone, by day and by night."""
    from axe_playwright_python.sync_playwright import Axe

    for width, scheme in ((1280, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width}: it scrolls sideways"
        results = Axe().run(page)
        assert not results.violations_count, f"{name}, {scheme}, {width}:\n{results.generate_report()}"
        shoot(page, f"desk-{name}-{width}-{scheme}")
    page.set_viewport_size({"width": 1280, "height": 844})
    page.emulate_media(color_scheme="light")


def test_hear_ask_compare_lock_and_deliver(browser, toy: Api):  # noqa: F811
    from playwright.sync_api import expect

    key = toy.key()
    client = toy.client(key)
    name = narrated(toy, client, title="The lamp")
    doubt(toy, name, "A word may be missing.")
    result, before = client.get(f"/v1/narrations/{name}/result").json(), takes(toy)
    with running(client.app) as url:
        page = opened(browser, f"{url}/desk")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        check(page, "log-in")
        page.get_by_label("Key").fill(key)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Narrations")).to_be_visible()
        check(page, "list")
        page.get_by_role("link", name="The lamp").press("Enter")
        page.get_by_text("1 sentence is doubted").press("Enter")
        check(page, "doubted")
        page.locator("#doubts a").press("Enter")
        expect(page.get_by_role("heading", name="Sentence 1")).to_be_focused()
        assert heard(page, "#hear-A") > 1

        page.get_by_role("button", name="Next attempt").press("Enter")
        expect(page.get_by_text("not made yet")).to_be_visible()
        assert called(toy) == [[name]]
        toy.deliver(name)
        expect(page.get_by_role("button", name="Hear B")).to_be_visible()
        expect(page.locator("#progress")).to_have_text("Everything chosen is delivered.")
        assert heard(page, "#hear-B") > 1

        page.get_by_role("button", name="Compare the two marked").press("Enter")
        dialog = page.get_by_role("dialog")
        assert "Hear B" not in dialog.inner_text() and heard(page, "[data-side='0']") > 1
        check(page, "blind")
        paths: list[str] = []
        page.on("request", lambda request: paths.append(request.post_data or "") if "/pick" in request.url else None)
        dialog.get_by_role("button", name="Use the first").press("Enter")
        expect(dialog.get_by_role("status")).to_contain_text("is picked")
        (first, second) = client.get(f"/v1/narrations/{name}/chunks/1").json()["attempts"]
        chosen = first if first["picked"] else second
        assert chosen["key"] in paths[0] and f"It is {chosen['letter']};" in dialog.inner_text()
        page.keyboard.press("Escape")

        page.get_by_role("button", name="Lock B").press("Enter")
        expect(page.locator("#chunk-1")).to_contain_text("locked")
        page.get_by_label("Word", exact=True).fill("second")
        page.get_by_label("is said as").fill("/ˈtɛnθ/")
        with page.expect_response("**/v1/audio/speech") as answer:
            page.get_by_role("button", name="Say it").press("Enter")
        assert answer.value.ok and "phoneme" in answer.value.request.post_data
        check(page, "chosen")
        page.get_by_role("button", name="Deliver now").press("Enter")
        assert called(toy) == [[name]]
        toy.deliver(name)
        expect(page.locator("#progress")).to_have_text("Everything chosen is delivered.")
        expect(page.locator("#problem")).to_be_empty()
        assert len(takes(toy) - before) == 1, "takes made: one"
        assert client.get(f"/v1/narrations/{name}/result").json()["revision"] != result["revision"]
        page.get_by_role("button", name="Log out").press("Enter")
        expect(page.get_by_label("Key")).to_be_visible()
        assert page.goto(f"{url}/desk/n/{name}") and page.get_by_label("Key").is_visible()
        assert not [address for address in asked if not address.startswith(url)]
        # A player that has another sound to play gives up the request it has, and so does what follows a state; and the
        # browser gives up a page's icon where the next page is asked for first.
        ends = (chosen["key"], first["key"], "/events", "/icon.svg")
        given_up = tuple(f"{end} net::ERR_ABORTED" for end in ends)
        assert [text for text in page.problems if not text.endswith(given_up)] == []
        page.close()


def test_pairs_are_heard_and_voted_on_blind(browser, toy: Api):  # noqa: F811
    from playwright.sync_api import expect

    key = toy.key()
    client = toy.client(key)
    name = narrated(toy, client, title="The lamp")
    compared(toy, name)
    with running(client.app) as url:
        page = opened(browser, f"{url}/desk")
        page.get_by_label("Key").fill(key)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="The lamp").press("Enter")
        page.get_by_role("link", name="Vote blind on 2 pairs").press("Enter")
        expect(page.get_by_role("heading", name="Sentence 0")).to_be_visible()
        assert heard(page, "#hear-a") > 1 and heard(page, "#hear-b") > 1
        assert not any(variant in page.content() for variant in VARIANTS)
        check(page, "pair")
        page.get_by_role("button", name="A is better").press("Enter")
        expect(page.get_by_role("status")).to_contain_text("You voted for A.")
        expect(page.get_by_role("link", name="Next pair")).to_be_focused()
        check(page, "voted")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Sentence 1")).to_be_visible()
        page.get_by_role("button", name="Neither").press("Enter")
        page.get_by_role("link", name="What you preferred").press("Enter")
        expect(page.get_by_text("All pairs are voted on")).to_be_visible()
        check(page, "preferred")
        assert client.get(f"/v1/narrations/{name}/comparison").json()["voted"] == 2
        assert page.problems == []
        page.close()
