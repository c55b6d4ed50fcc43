from __future__ import annotations

import base64
import hmac
import statistics
import time
from typing import Any

import pytest
from aiohttp import web

from mediaserver.web import auth
from mediaserver.web.auth import ApiKey, ApiKeys, credentials

PROJECT = "00000000-0000-4000-8000-000000000001"


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("Bearer secret", "secret"),
        ("bEARER   secret ", "secret"),
        (basic("project:secret"), "secret"),
        (basic("anyone:with:colons"), "with:colons"),
        (basic(":schlüssel"), "schlüssel"),
        ("Bearer", None),
        ("Bearer ", None),
        (basic("no colon"), None),
        (basic("user:"), None),
        ("Basic !!!!", None),
        ("Basic /w==", None),
        ("Digest secret", None),
        ("secret", None),
        ("", None),
        ("Bearer " + "x" * 5000, None),
    ],
)
def test_a_key_is_a_bearer_token_or_the_password_of_basic(header: str, key: str | None) -> None:
    assert credentials(header) == key


@pytest.mark.parametrize("match", [0, 15, 31, None])
def test_every_key_is_compared_whichever_matches(
    monkeypatch: pytest.MonkeyPatch, match: int | None
) -> None:
    """S16: how long it takes depends on how many keys there are, and on nothing presented."""
    compared: list[tuple[bytes, bytes]] = []

    def counting(known: bytes, presented: bytes) -> bool:
        compared.append((known, presented))
        return known == presented

    keys = [f"{number:02d}" + "k" * 30 for number in range(32)]
    subject = ApiKeys(keys)
    monkeypatch.setattr(auth, "compare_digest", counting)
    found = subject.find("wrong" if match is None else keys[match])
    assert (found.key if found else None) == (None if match is None else keys[match])
    assert len(compared) == 32
    # Digests of one length each: what is compared is as long for any guess, and right nowhere.
    assert {len(part) for pair in compared for part in pair} == {64}


def test_keys_are_compared_by_hmac_compare_digest() -> None:
    assert vars(auth)["compare_digest"] is hmac.compare_digest


def test_what_is_compared_of_a_near_guess_is_unlike_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared: list[int] = []

    def watching(known: bytes, presented: bytes) -> bool:
        same = [a == b for a, b in zip(known, presented, strict=True)]
        shared.append(same.index(False))
        return False

    monkeypatch.setattr(auth, "compare_digest", watching)
    key = "k" * 32
    for _ in range(200):
        ApiKeys([key]).find("k" * 31 + "x")
    # 31 right characters of 32 lead to no more right octets of a digest than chance does.
    assert sum(shared) < 20


def test_no_key_configured_lets_nobody_in() -> None:
    assert ApiKeys([]).find("") is None
    assert ApiKeys([""]).find("") is None


def test_a_key_is_not_in_its_repr() -> None:
    assert "secret" not in repr(ApiKey("secret")) + repr(ApiKeys(["secret"]))


def data_routes(app: web.Application) -> list[tuple[str, str]]:
    """Every route but the one that shows nothing, with something in its placeholders."""
    values = {"project": PROJECT, "call": "call-1", "recording": "a" * 36}
    found = []
    for route in app.router.routes():
        assert route.resource is not None
        if route.resource.canonical not in {"/health", "/openapi.json"}:
            found.append((route.method, route.resource.canonical.format(**values)))
    return found


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer key-for-everythinG"},
        {"Authorization": basic("key-for-everything:")},
        {"Authorization": "Basic ?"},
        {"Cookie": "key=key-for-everything"},
    ],
)
async def test_every_route_that_shows_data_refuses_who_has_no_key(
    api: Any, headers: dict[str, str]
) -> None:
    routes = data_routes(api.app)
    assert len(routes) == len(set(routes)) > 12
    for method, path in routes:
        for query in ("", "?key=key-for-everything", "?access_token=key-for-everything"):
            status, answered, body = await api.ask(
                path + query, key=None, method=method, headers=headers
            )
            assert status == 401, (method, path)
            challenges = answered.getall("WWW-Authenticate")
            assert [challenge.split()[0] for challenge in challenges] == ["Bearer", "Basic"]
            if method == "GET" and path.startswith(("/api/relay/", "/api/calling/")):
                assert body == {"error": "Unauthorized"}
            elif method == "GET":
                assert body["error"]["status"] == "UNAUTHENTICATED"
                assert body["error"]["code"] == 401


async def test_two_authorization_headers_are_no_key(api: Any) -> None:
    answer = await api.raw(
        f"GET /v1beta1/projects/{PROJECT}/recordings HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        "Authorization: Bearer wrong\r\nAuthorization: Bearer key-for-everything\r\n\r\n".encode()
    )
    assert b" 401 " in answer.splitlines()[0] or b" 400 " in answer.splitlines()[0]


async def test_a_basic_key_opens_what_a_bearer_key_opens(api: Any) -> None:
    headers = {"Authorization": basic(f"{PROJECT}:key-for-everything")}
    status, _, _ = await api.ask(
        f"/v1beta1/projects/{PROJECT}/recordings", key=None, headers=headers
    )
    assert status == 200


def test_a_guess_that_is_nearly_right_takes_as_long_as_one_that_is_not() -> None:
    """Robustness S16: 0 against 31 right leading characters, 10,000 guesses, the medians."""
    keys = ApiKeys(["A" * 43])
    spent: dict[str, list[int]] = {"B" * 43: [], "A" * 31 + "B" * 12: []}
    for _ in range(5000):
        for guess, times in spent.items():
            began = time.perf_counter_ns()
            assert keys.find(guess) is None
            times.append(time.perf_counter_ns() - began)
    far, near = (statistics.median(times) for times in spent.values())
    assert abs(far - near) < 5000
