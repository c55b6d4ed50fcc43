"""RECORDING_READY of a live server as Enfonica's applications get it (contract B6)."""

from __future__ import annotations

import asyncio
import base64
import copy
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from farend.phone import Phone
from farend.receiver import Callback, Receiver
from farend.server import PROJECT, SIGNING_KEY, Server
from farend.speech import choose, passage
from farend.talker import Talker

KEY = bytes(range(255, 191, -1))
BUSY = "/ready/busy?tenant=a%20b"
RELAY = "/api/relay/rest/recordings"


def signature(key: bytes, url: str, body: bytes) -> str:
    """Work out by hand what a request to `url` must carry."""
    message = url.encode() + b"RECORDING_READY" + body
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def routes(receiver: Receiver, **paths: str) -> dict[str, object]:
    """Return settings with a route a script, and the path that is told when it is ready."""
    found = [
        {
            "to": user,
            "swml": f"script-{number}.json",
            "recording": {
                "ready_uri": receiver.url(path).replace("//", "//user:secret@", 1),
                "post_processing": ["TRIM_SILENCE"],
            },
        }
        for number, (user, path) in enumerate(paths.items())
    ]
    return {"routes": found}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    scripts: dict[str, list[object]] = {
        "busy": [{"record": {"status_url": receiver.url("/ready-status/busy")}}],
        "silent": [{"record": {"initial_timeout": 0.5}}],
    }
    settings = routes(receiver, busy=BUSY, silent="/ready/silent")
    settings["enfonica_signing_key"] = base64.b64encode(KEY).decode()
    with Server(tmp_path_factory.mktemp("ready"), scripts, settings) as server:
        yield server


async def leave_message(server: Server, user: str, speech: Path) -> None:
    payload, _ = passage([speech], 1.0)
    async with Phone.open(server.sip) as phone:
        await phone.call(user)
        await phone.say(Talker().say(payload))
        await asyncio.sleep(0.02)
        await phone.hang_up()


async def ready(receiver: Receiver, path: str, attempts: int = 1) -> list[Callback]:
    await receiver.until(lambda: len(receiver.at(path)) >= attempts, 15, f"nothing for {path}")
    return receiver.at(path)


def without_uris(resource: dict[str, Any]) -> dict[str, Any]:
    """Return a resource without what differs from one answer to the next."""
    bare = copy.deepcopy(resource)
    for audio in bare["audio"]:
        del audio["uri"]
    return bare


@pytest.fixture(scope="module")
def busy(server: Server, receiver: Receiver, speech_files: tuple[Path, ...]) -> list[Callback]:
    """What came of a message whose receiver takes RECORDING_READY at the third attempt."""
    receiver.refusals[BUSY] = [500, 503]

    async def leave() -> list[Callback]:
        await leave_message(server, "busy", choose(speech_files, 2, 2.2)[0])
        return await ready(receiver, BUSY, 3)

    return asyncio.run(leave())


def test_it_is_tried_until_it_is_taken_each_time_with_signature_and_id(
    busy: list[Callback], receiver: Receiver
) -> None:
    assert [callback.status for callback in busy] == [500, 503, 200]
    for callback in busy:
        headers = callback.headers
        assert headers["content-type"] == "application/json; charset=utf-8"
        assert headers["x-enfonica-event"] == "RECORDING_READY"
        url = receiver.url(BUSY)
        assert headers["x-enfonica-signature"] == signature(KEY, url, callback.body)
        assert headers["authorization"] == "Basic dXNlcjpzZWNyZXQ="
        assert headers["x-mediaserver-sequence"] == "1"
        assert "x-signalwire-signature" not in headers
    # Links are made for each attempt; all else is the same.
    told = [callback.event for callback in busy]
    assert all(without_uris(event) == without_uris(told[0]) for event in told)
    assert len({callback.headers["x-mediaserver-delivery"] for callback in busy}) == 1
    first, second, third = (callback.at for callback in busy)
    # Contract B6: 1 s, then 2 s; by another clock than the server's.
    assert second - first >= 0.9
    assert third - second >= 1.9


def test_it_is_the_resource_that_the_api_shows_and_its_links_open_the_files(
    busy: list[Callback], server: Server, receiver: Receiver
) -> None:
    told = busy[0].event
    assert told["state"] == "SUCCEEDED"
    assert told["postProcessing"] == ["TRIM_SILENCE"]
    assert told["readyUri"] == receiver.url(BUSY)
    assert [audio["mimeType"] for audio in told["audio"]] == ["audio/x-wav", "audio/mpeg"]
    shown = server.get(f"/v1beta1/{told['name']}").json
    assert without_uris(told) == without_uris(shown)
    assert told["x-mediaserver"]["stopReason"] == "hangup"
    for audio in told["audio"]:
        link = urlsplit(audio["uri"])
        assert parse_qs(link.query)["rendition"] == ["0"]
        answer = server.get(f"{link.path}?{link.query}", key=None)
        assert (answer.status, len(answer.body)) == (200, audio["sizeBytes"])
    # The states go to the other address all the same, in their own order.
    states = [callback.state for callback in receiver.at("/ready-status/busy")]
    assert states == ["recording", "finished"]


async def test_a_recording_nobody_spoke_in_is_ready_too_and_shows_no_audio(
    server: Server, receiver: Receiver
) -> None:
    async with Phone.open(server.sip) as phone:
        await phone.call("silent")
        await phone.until_ended()
    (callback,) = await ready(receiver, "/ready/silent")
    told = callback.event
    assert (told["state"], told["audio"]) == ("EMPTY", [])
    assert told["x-mediaserver"]["stopReason"] == "initial_timeout"
    assert not {"duration", "startTime", "errorCode"} & set(told)


def test_the_relay_list_shows_what_was_recorded(busy: list[Callback], server: Server) -> None:
    told = busy[0].event
    id = told["name"].rpartition("/")[2]
    item = server.get(f"{RELAY}/{id}").json
    assert item["status"] == "completed"
    assert item["track"] == "inbound"
    assert item["duration_in_seconds"] == int(float(told["duration"].removesuffix("s")))
    assert item["byte_size"] == told["audio"][0]["sizeBytes"]
    assert item["relay_sip_leg_id"] == told["name"].split("/")[3]
    link = urlsplit(item["url"])
    assert len(server.get(link.path).body) == item["byte_size"]
    listed = server.get(RELAY).json
    assert item in listed["data"]
    assert listed["links"]["self"] == RELAY


async def test_files_that_are_not_made_in_time_are_told_as_a_timeout_under_the_derived_key(
    tmp_path: Path, receiver: Receiver, speech_files: tuple[Path, ...]
) -> None:
    scripts = {"late": [{"record": {"status_url": receiver.url("/ready-status/late")}}]}
    settings = routes(receiver, late="/ready/late") | {"recording": {"render_timeout": 0.001}}
    with Server(tmp_path, scripts, settings) as server:
        server.expected.add("recording failed")
        await leave_message(server, "late", choose(speech_files, 2, 2.2)[0])
        (callback,) = await ready(receiver, "/ready/late")
        told = callback.event
        assert (told["state"], told["errorCode"], told["audio"]) == ("FAILED", "TIMEOUT", [])
        purpose = b"mediaserver: Enfonica signatures, version 1"
        derived = hmac.new(SIGNING_KEY.encode(), purpose, hashlib.sha512).digest()
        right = signature(derived, receiver.url("/ready/late"), callback.body)
        assert callback.headers["x-enfonica-signature"] == right
        last = await receiver.until_final("/ready-status/late")
        assert last.state == "error"
        id = told["name"].rpartition("/")[2]
        shown = server.get(f"/v1beta1/projects/{PROJECT}/calls/-/recordings/{id}").json
        assert shown == told
        item = server.get(f"{RELAY}/{id}").json
        assert (item["status"], item["error_code"]) == ("failed", "TIMEOUT")
