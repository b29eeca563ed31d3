"""The guard before Dagster's web server: what it lets through, and what it refuses."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from f5_pipeline.dagster_host.guard import Guard

HERE = "http://127.0.0.1:3000"
OPENED = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


async def answer(request) -> PlainTextResponse:
    return PlainTextResponse("done")


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


app = Starlette(
    routes=[
        WebSocketRoute("/graphql", talk),
        Route("/{path:path}", answer, methods=["GET", "POST", "PUT", "DELETE"]),
    ]
)
client = TestClient(Guard(app, "127.0.0.1", ["dagster.example.org"]), base_url=HERE)


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/graphql", {}),  # a program
        ("POST", "/graphql", {"origin": HERE, "sec-fetch-site": "same-origin"}),
        ("GET", "/", {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}),
        ("GET", "/assets", OPENED),  # a link in a chat
        ("GET", "/graphql", OPENED),
        ("GET", "/", {"host": "localhost:3000"}),
        ("GET", "/", {"host": "[::1]:3000"}),
        ("GET", "/", {"host": "192.168.1.5:3000"}),
        ("POST", "/graphql", {"host": "dagster.example.org", "origin": "https://dagster.example.org"}),
        ("POST", "/graphql", {"origin": "https://dagster.example.org"}),  # a proxy that sends a host of its own
        ("POST", "/report_asset_materialization/x", {}),
    ],
)
def test_what_the_user_and_programs_ask_passes(method, path, headers):
    assert client.request(method, path, headers=headers).text == "done"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/graphql", {"origin": "http://127.0.0.1:43199"}),
        ("POST", "/graphql", {"origin": "http://localhost:3000"}),
        ("POST", "/graphql", {"origin": "null"}),
        ("POST", "/graphql", {"origin": ""}),
        ("POST", "/graphql", {"origin": "http://127.0.0.1:3000.evil.test"}),
        ("POST", "/graphql", {"origin": "http://evil.test@127.0.0.1"}),
        ("POST", "/graphql", {"sec-fetch-site": "same-site"}),
        ("POST", "/graphql", OPENED),  # a form
        ("GET", "/", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}),
        ("GET", "/", {**OPENED, "sec-fetch-dest": "iframe"}),
        ("GET", "/graphql?query=mutation{x}", {}),
        ("GET", "/graphql/?%71uery=mutation{x}", {"sec-fetch-site": "same-origin"}),
        ("GET", "/", {"host": "evil.test"}),
        ("GET", "/", {"host": "127.0.0.1.evil.test:3000"}),
        ("GET", "/", {"host": "localhost.evil.test"}),
        ("GET", "/", {"host": ""}),
        ("GET", "/", {"host": "127.0.0.1:port"}),
    ],
)
def test_what_a_foreign_page_makes_a_browser_ask_is_refused(method, path, headers):
    response = client.request(method, path, headers=headers)
    assert response.status_code == 403 and response.text != "done"


def test_a_name_that_is_refused_is_told_with_the_remedy():
    assert "add the name to F5_UI_HOSTS" in client.get("/", headers={"host": "evil.test"}).text


def test_websockets_of_other_origins_are_refused():
    for origin in ({}, {"origin": HERE}):
        with client.websocket_connect("/graphql", headers={"host": "127.0.0.1:3000", **origin}) as socket:
            assert socket.receive_text() == "hello"
    for headers in ({"origin": "http://127.0.0.1:4000"}, {"host": "evil.test"}, {"sec-fetch-site": "cross-site"}):
        refused = client.websocket_connect("/graphql", headers={"host": "127.0.0.1:3000", **headers})
        with pytest.raises(WebSocketDisconnect), refused:
            pass
