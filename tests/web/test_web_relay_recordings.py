"""Recordings as clients of SignalWire's REST API ask for them (contract A5)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from mediaserver.errors import LocalError
from mediaserver.recording.failure import Failure
from mediaserver.recording.resource import Direction, Recording
from mediaserver.recording.states import State

PROJECT = "00000000-0000-4000-8000-000000000001"
LIST = "/api/relay/rest/recordings"

Make = Callable[..., Recording]
Finished = Callable[..., tuple[Recording, bytes]]


async def test_a_recording_is_shown_field_by_field_as_the_contract_has_it(
    api: Any, finished: Finished
) -> None:
    recording, content = finished(1, size=197_484, duration_us=12_999_999)
    await api.recordings.add(recording)
    status, headers, body = await api.ask(f"{LIST}/{recording.id}")
    assert status == 200
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert body == {
        "id": recording.id,
        "project_id": PROJECT,
        "created_at": "2023-11-14T22:13:21.001Z",
        "updated_at": "2023-11-14T22:13:33.460Z",
        "duration_in_seconds": 12,
        "price": 0.0,
        "price_unit": "USD",
        "status": "completed",
        "url": str(api.url(f"/api/v1/recordings/{recording.id}/download")),
        "stereo": False,
        "byte_size": 197_484,
        "track": "inbound",
        "relay_sip_leg_id": "call-1",
    }
    assert isinstance(body["duration_in_seconds"], int)
    assert (await api.ask(body["url"].partition(str(api.url("")))[2]))[2] == content


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.RECORDING, "in-progress"),
        (State.PAUSED, "paused"),
        (State.RENDERING, "processing"),
        (State.FINISHED, "completed"),
        (State.NO_INPUT, "absent"),
        (State.ERROR, "failed"),
    ],
)
async def test_every_state_has_its_word(
    api: Any, make_recording: Make, state: State, status: str
) -> None:
    failure = Failure.RENDER_TIMEOUT if state is State.ERROR else None
    recording = make_recording(1, state=state, failure=failure)
    await api.recordings.add(recording)
    _, _, body = await api.ask(f"{LIST}/{recording.id}")
    assert body["status"] == status
    assert body.get("error_code") == ("TIMEOUT" if failure else None)
    assert body["duration_in_seconds"] == 0
    assert "byte_size" not in body


@pytest.mark.parametrize(
    ("direction", "track"),
    [
        (Direction.SPEAK, "inbound"),
        (Direction.LISTEN, "outbound"),
        (Direction.BOTH, "both"),
    ],
)
async def test_a_direction_is_a_track(
    api: Any, make_recording: Make, direction: Direction, track: str
) -> None:
    recording = make_recording(1, direction=direction, stereo=True)
    await api.recordings.add(recording)
    _, _, body = await api.ask(f"{LIST}/{recording.id}")
    assert (body["track"], body["stereo"]) == (track, True)


async def test_the_list_is_read_by_its_links_and_loses_nothing(
    api: Any, make_recording: Make
) -> None:
    for number in range(7):
        await api.recordings.add(make_recording(number))
    await api.recordings.add(make_recording(99, project_id="another"))
    path, seen, lengths = f"{LIST}?page_size=3", [], []
    while path:
        _, _, body = await api.ask(path)
        assert set(body) == {"links", "data"}
        assert body["links"]["self"] == path
        assert body["links"]["first"] == f"{LIST}?page_size=3"
        seen += [item["id"] for item in body["data"]]
        lengths.append(len(body["data"]))
        path = body["links"].get("next")
        # One that is newer moves nobody to another page.
        await api.recordings.add(make_recording(100 + len(lengths)))
    assert lengths == [3, 3, 1]
    assert seen == [make_recording(number).id for number in range(6, -1, -1)]


async def test_without_parameters_a_page_has_fifty_and_never_more_than_a_hundred(
    api: Any, make_recording: Make
) -> None:
    for number in range(102):
        await api.recordings.add(make_recording(number))
    for query, length in [("", 50), ("?page_size=1", 1), ("?page_size=9999999999", 100)]:
        _, _, body = await api.ask(LIST + query)
        assert len(body["data"]) == length
        assert body["links"]["self"] == LIST + query


async def test_an_empty_list_has_no_next_page(api: Any) -> None:
    _, _, body = await api.ask(LIST)
    assert body == {"links": {"self": LIST, "first": LIST}, "data": []}


@pytest.mark.parametrize(
    ("query", "names_it"),
    [
        ("page_size=0", "page_size"),
        ("page_size=-1", "page_size"),
        ("page_size=ten", "page_size"),
        ("page_size=" + "9" * 4000, "page_size"),
        ("page_size=%D9%A3", "page_size"),
        ("page_size=1&page_size=2", "page_size"),
        ("page_token=garbage", "page token"),
        ("page_number=2", "page_number"),
        ("a%0d%0aX-Evil:%201=1", "X-Evil"),
    ],
)
async def test_a_query_that_means_nothing_is_422_in_the_contracts_shape(
    api: Any, query: str, names_it: str
) -> None:
    status, headers, body = await api.ask(f"{LIST}?{query}")
    assert status == 422
    (error,) = body["errors"]
    assert set(body) == {"errors"}
    assert set(error) == {"detail", "status", "title", "code"}
    assert (error["status"], error["code"]) == ("422", "422")
    assert names_it in error["detail"]
    assert len(error["detail"]) < 200
    assert "X-Evil" not in headers


async def test_a_token_of_enfonicas_list_is_not_one_of_a_call(
    api: Any, make_recording: Make
) -> None:
    for number in range(3):
        await api.recordings.add(make_recording(number))
    base = f"/v1beta1/projects/{PROJECT}"
    _, _, body = await api.ask(f"{base}/calls/call-1/recordings?pageSize=1")
    assert (await api.ask(f"{LIST}?page_token={body['nextPageToken']}"))[0] == 422


async def test_what_is_not_there_is_404_whoevers_it_is(api: Any, make_recording: Make) -> None:
    other = make_recording(1, project_id="another")
    await api.recordings.add(other)
    for id in [other.id, "nothing", "..%2f..%2fetc%2fpasswd", "%00", "x" * 5000]:
        status, _, body = await api.ask(f"{LIST}/{id}")
        assert (status, body) == (404, {"error": "Not Found"}), id


async def test_keys_open_what_they_open_elsewhere(api: Any, make_recording: Make) -> None:
    recording = make_recording(1)
    await api.recordings.add(recording)
    one = f"{LIST}/{recording.id}"
    for key, path, expected in [
        ("key-that-lists", LIST, 200),
        ("key-that-lists", one, 403),
        ("key-that-gets", one, 200),
        ("key-that-gets", LIST, 403),
        (None, LIST, 401),
        ("wrong", one, 401),
    ]:
        status, headers, body = await api.ask(path, key=key)
        assert status == expected, (key, path)
        if status == 401:
            assert body == {"error": "Unauthorized"}
            assert len(headers.getall("WWW-Authenticate")) == 2
        if status == 403:
            assert body == {"error": "Forbidden"}


async def test_project_and_key_go_in_as_basic_authentication(api: Any) -> None:
    basic = base64.b64encode(f"{PROJECT}:key-for-everything".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    assert (await api.ask(LIST, key=None, headers=headers))[0] == 200


async def test_a_database_that_is_away_says_nothing_of_itself(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise LocalError("the database /srv/secret/place is locked")

    monkeypatch.setattr(api.recordings, "page", away)
    status, headers, body = await api.ask(LIST)
    assert (status, body) == (503, {"error": "Service Unavailable"})
    assert "Retry-After" in headers
