from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mediaserver.errors import LocalError
from mediaserver.recording.failure import Failure
from mediaserver.recording.resource import Recording
from mediaserver.recording.states import State

PROJECT = "00000000-0000-4000-8000-000000000001"
BASE = f"/v1beta1/projects/{PROJECT}"
LISTER, GETTER = "key-that-lists", "key-that-gets"

Make = Callable[..., Recording]


def names(body: Any) -> list[int]:
    return [int(item["name"].rsplit("/", 1)[1][:8], 16) for item in body["recordings"]]


async def test_a_recording_is_shown_field_by_field_as_the_contract_has_it(
    api: Any, finished: Callable[..., tuple[Recording, bytes]]
) -> None:
    recording, _ = finished(1, size=197_484)
    await api.recordings.add(recording)
    status, headers, body = await api.ask(f"{BASE}/calls/call-1/recordings/{recording.id}")
    assert status == 200
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    uri = body["audio"][0].pop("uri")
    assert uri.startswith(str(api.url(f"/api/v1/recordings/{recording.id}/download?")))
    assert body == {
        "name": f"projects/{PROJECT}/calls/call-1/recordings/{recording.id}",
        "state": "SUCCEEDED",
        "source": "RECORD_ACTION",
        "duration": "12.340s",
        "channelCount": 1,
        "postProcessing": [],
        "audio": [
            {
                "mimeType": "audio/x-wav",
                "encoding": "AUDIO_ENCODING_PCM_16BIT",
                "sampleRate": 8000,
                "sizeBytes": 197_484,
            }
        ],
        "startTime": "2023-11-14T22:13:21.120Z",
        "createTime": "2023-11-14T22:13:21.001Z",
        "x-mediaserver": {
            "controlId": "control",
            "direction": "speak",
            "recovered": False,
            "pauses": [],
            "audio": [
                {
                    "rendition": 0,
                    "format": "wav",
                    "direction": "speak",
                    "channelCount": 1,
                    "trimmed": False,
                    "duration": "12.340s",
                }
            ],
            "sequence": 0,
        },
    }


@pytest.mark.parametrize(
    ("state", "shown", "code"),
    [
        (State.RECORDING, "PENDING", None),
        (State.PAUSED, "PENDING", None),
        (State.RENDERING, "PENDING", None),
        (State.NO_INPUT, "EMPTY", None),
        (State.ERROR, "FAILED", "TIMEOUT"),
    ],
)
async def test_what_only_success_has_is_absent_otherwise(
    api: Any, finished: Callable[..., tuple[Recording, bytes]], state: State, shown: str, code: Any
) -> None:
    failure = Failure.RENDER_TIMEOUT if code else None
    recording, _ = finished(1, state=state, failure=failure)
    await api.recordings.add(recording)
    _, _, body = await api.ask(f"{BASE}/calls/-/recordings/{recording.id}")
    assert body["state"] == shown
    assert body.get("errorCode") == code
    assert "duration" not in body
    assert "startTime" not in body
    assert body["audio"] == []
    assert "createTime" in body


async def test_uris_are_in_the_full_view_alone_and_each_method_has_its_default(
    api: Any, finished: Callable[..., tuple[Recording, bytes]]
) -> None:
    recording, _ = finished(1)
    await api.recordings.add(recording)
    one = f"{BASE}/calls/call-1/recordings/{recording.id}"
    for path, full in [
        (one, True),
        (f"{one}?view=RECORDING_VIEW_UNSPECIFIED", True),
        (f"{one}?view=FULL", True),
        (f"{one}?view=BASIC", False),
        (f"{BASE}/recordings", False),
        (f"{BASE}/recordings?view=BASIC", False),
        (f"{BASE}/recordings?view=FULL", True),
        (f"{BASE}/calls/call-1/recordings?view=FULL", True),
    ]:
        _, _, body = await api.ask(path)
        shown = body["recordings"][0] if "recordings" in body else body
        assert ("uri" in shown["audio"][0]) is full, path


async def test_lists_are_newest_first_and_carry_on_by_token(api: Any, make_recording: Make) -> None:
    for number in range(25):
        await api.recordings.add(make_recording(number))
    seen: list[int] = []
    path = f"{BASE}/recordings"
    lengths = []
    while True:
        _, _, body = await api.ask(path)
        seen += names(body)
        lengths.append(len(body["recordings"]))
        if "nextPageToken" not in body:
            break
        path = f"{BASE}/recordings?pageToken={body['nextPageToken']}"
    assert lengths == [10, 10, 5]
    assert seen == list(range(24, -1, -1))


async def test_page_sizes_are_clamped_and_zero_is_the_default(
    api: Any, make_recording: Make
) -> None:
    for number in range(102):
        await api.recordings.add(make_recording(number))
    for size, length in [("0", 10), ("", 10), ("1", 1), ("100", 100), ("9999999999", 100)]:
        _, _, body = await api.ask(f"{BASE}/recordings?pageSize={size}")
        assert len(body["recordings"]) == length


@pytest.mark.parametrize(
    ("query", "names_it"),
    [
        ("pageSize=-1", "pageSize"),
        ("pageSize=ten", "pageSize"),
        ("pageSize=1.5", "pageSize"),
        ("pageSize=%D9%A3", "pageSize"),
        ("pageSize=" + "9" * 4000, "pageSize"),
        ("pageSize=1&pageSize=2", "pageSize"),
        ("view=ALL", "view"),
        ("view=full", "view"),
        ("pageToken=garbage", "page token"),
        ("pageToken=%00%ff", "page token"),
        ("filter=state%3DFAILED", "filter"),
        ("orderBy=name", "orderBy"),
        ("a%0d%0aX-Evil:%201=1", "X-Evil"),
    ],
)
async def test_a_query_that_means_nothing_is_refused_by_name(
    api: Any, query: str, names_it: str
) -> None:
    status, headers, body = await api.ask(f"{BASE}/recordings?{query}")
    assert status == 400
    assert body["error"]["status"] == "INVALID_ARGUMENT"
    assert names_it in body["error"]["message"]
    assert "\n" not in body["error"]["message"]
    assert len(body["error"]["message"]) < 200
    assert "X-Evil" not in headers


async def test_a_list_is_of_one_call_or_of_all(api: Any, make_recording: Make) -> None:
    await api.recordings.add(make_recording(1, call_id="call-1"))
    await api.recordings.add(make_recording(2, call_id="call-2"))
    for path, shown in [
        ("/recordings", [2, 1]),
        ("/calls/-/recordings", [2, 1]),
        ("/calls/call-1/recordings", [1]),
        ("/calls/call-9/recordings", []),
    ]:
        status, _, body = await api.ask(BASE + path)
        assert (status, names(body)) == (200, shown)
        assert "nextPageToken" not in body


async def test_a_token_of_another_list_is_refused(api: Any, make_recording: Make) -> None:
    for number in range(3):
        await api.recordings.add(make_recording(number))
    _, _, body = await api.ask(f"{BASE}/recordings?pageSize=1")
    token = body["nextPageToken"]
    status, _, _ = await api.ask(f"{BASE}/calls/call-1/recordings?pageToken={token}")
    assert status == 400


async def test_what_is_another_projects_is_not_there(api: Any, make_recording: Make) -> None:
    """S16: 404 and not 403, which would say that it exists."""
    other = make_recording(1, project_id="another")
    await api.recordings.add(other)
    paths = [
        f"/v1beta1/projects/another/calls/call-1/recordings/{other.id}",
        "/v1beta1/projects/another/recordings",
        "/v1beta1/projects/-/recordings",
        f"{BASE}/calls/call-1/recordings/{other.id}",
        f"{BASE}/calls/-/recordings/{other.id}",
        f"/api/v1/recordings/{other.id}/download",
    ]
    for path in paths:
        status, _, body = await api.ask(path)
        assert status == 404, path
        assert body["error"]["status"] == "NOT_FOUND"


async def test_a_recording_is_not_found_under_another_call(api: Any, make_recording: Make) -> None:
    recording = make_recording(1)
    await api.recordings.add(recording)
    status, _, _ = await api.ask(f"{BASE}/calls/call-2/recordings/{recording.id}")
    assert status == 404


async def test_a_key_opens_what_it_was_given_and_no_more(
    api: Any, finished: Callable[..., tuple[Recording, bytes]]
) -> None:
    recording, _ = finished(1)
    await api.recordings.add(recording)
    one = f"{BASE}/calls/call-1/recordings/{recording.id}"
    download = f"/api/v1/recordings/{recording.id}/download"
    for key, path, expected in [
        (LISTER, f"{BASE}/recordings", 200),
        (LISTER, f"{BASE}/calls/call-1/recordings", 200),
        # The links in it open what needs the other permission.
        (LISTER, f"{BASE}/recordings?view=FULL", 403),
        (LISTER, one, 403),
        (LISTER, download, 403),
        (LISTER, f"{BASE}/calls/call-1/recordings/nothing", 403),
        (GETTER, one, 200),
        (GETTER, download, 200),
        (GETTER, f"{BASE}/recordings", 403),
    ]:
        status, _, body = await api.ask(path, key=key)
        assert status == expected, (key, path)
        if status == 403:
            assert body["error"]["status"] == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    "id",
    [
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%5c..%5cwindows",
        "%00",
        "a%00b",
        "%0d%0aX-Evil:%201",
        "%ff%fe",
        "C:%5Ccon.wav",
        "x" * 10_000,
        "%C3%A9",
        "a.b",
        "%252e%252e%252f",
    ],
)
async def test_an_id_that_is_none_of_ours_is_not_there(api: Any, id: str) -> None:
    """S13: nothing a peer sends becomes part of a path, or reaches the store."""
    for path in [
        f"{BASE}/calls/call-1/recordings/{id}",
        f"{BASE}/calls/{id}/recordings",
        f"/v1beta1/projects/{id}/recordings",
        f"/api/v1/recordings/{id}/download",
    ]:
        status, headers, body = await api.ask(path)
        assert status == 404, path
        assert body["error"]["code"] == 404
        assert "X-Evil" not in headers


async def test_dots_in_a_path_lead_nowhere(api: Any) -> None:
    for path in ["/api/v1/recordings/../../../../etc/passwd", "/../etc/passwd", "//etc/passwd"]:
        answer = await api.raw(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            "Authorization: Bearer key-for-everything\r\n\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b"root:" not in answer


async def test_a_database_that_is_away_is_503_and_says_nothing_of_itself(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise LocalError("the database /srv/secret/place is locked")

    monkeypatch.setattr(api.recordings, "page", away)
    monkeypatch.setattr(api.recordings, "get", away)
    for path in [f"{BASE}/recordings", f"{BASE}/calls/c/recordings/r"]:
        status, headers, body = await api.ask(path)
        assert status == 503
        assert body["error"]["status"] == "UNAVAILABLE"
        assert "secret" not in str(body)
        assert "Retry-After" in headers


async def test_a_fault_of_ours_is_500_without_a_trace(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def faulty(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(api.recordings, "page", faulty)
    status, _, body = await api.ask(f"{BASE}/recordings")
    assert status == 500
    assert body["error"] == {
        "code": 500,
        "message": "internal error",
        "status": "INTERNAL",
        "details": [],
    }
