"""The REST API of a live server that has real recordings."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import KEY, PROJECT, Server
from farend.speech import choose, passage
from farend.talker import Talker
from farend.waveform import Samples, place, read_wav

LIST = f"/v1beta1/projects/{PROJECT}/recordings"
CALLERS = 3


class Kept:
    """A server and what was left on it, in order."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sent: list[Samples] = []
        self.params: list[dict[str, Any]] = []

    def one(self, number: int) -> str:
        """Return the path of a recording's resource."""
        params = self.params[number]
        return (
            f"/v1beta1/projects/{PROJECT}/calls/{params['call_id']}"
            f"/recordings/{params['recording_id']}"
        )

    def download(self, number: int) -> str:
        """Return the path of a recording's audio."""
        return f"/api/v1/recordings/{self.params[number]['recording_id']}/download"


@pytest.fixture(scope="module")
def kept(
    tmp_path_factory: pytest.TempPathFactory,
    receiver: Receiver,
    speech_files: tuple[Path, ...],
) -> Iterator[Kept]:
    url = receiver.url("/rest/${call.sip_data.sip_from_user}")
    server = Server(
        tmp_path_factory.mktemp("rest"),
        {"mailbox": [{"record": {"status_url": url}}]},
        {
            "api_keys": [
                KEY,
                {"key": "only-lists", "permissions": ["voice.recordings.list"]},
                {"key": "only-gets", "permissions": ["voice.recordings.get"]},
            ]
        },
    ).start()
    kept = Kept(server)
    speech = choose(speech_files, 2.0, 2.4)

    async def leave(number: int) -> None:
        payload, sent = passage(speech[number:], 1.0 + 0.1 * number)
        async with Phone.open(server.sip, user=f"caller-{number}") as phone:
            await asyncio.sleep(number * 0.1)
            await phone.call("mailbox")
            await phone.say(Talker().say(payload))
            await asyncio.sleep(0.02)
            await phone.hang_up()
        kept.sent.append(sent)
        last = await receiver.until_final(f"/rest/caller-{number}")
        kept.params.append(last.params)

    async def leave_all() -> None:
        await asyncio.gather(*(leave(number) for number in range(CALLERS)))

    try:
        asyncio.run(leave_all())
        kept.params.sort(key=lambda params: params["start_time"])
        kept.sent.sort(key=lambda samples: samples.size)
        yield kept
    finally:
        server.stop()


def test_the_list_has_every_recording_newest_first(kept: Kept) -> None:
    answer = kept.server.get(LIST)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    names = [recording["name"].rsplit("/", 1)[1] for recording in answer.json["recordings"]]
    assert names == [params["recording_id"] for params in reversed(kept.params)]
    assert "nextPageToken" not in answer.json


def test_pages_are_read_by_token_and_lose_nothing(kept: Kept) -> None:
    seen, token = [], ""
    for _ in range(CALLERS + 1):
        answer = kept.server.get(f"{LIST}?pageSize=1" + (f"&pageToken={token}" if token else ""))
        seen += [recording["name"] for recording in answer.json["recordings"]]
        token = answer.json.get("nextPageToken", "")
        if not token:
            break
    assert len(seen) == len(set(seen)) == CALLERS


def test_the_recordings_of_a_call_are_its_own(kept: Kept) -> None:
    call = kept.params[0]["call_id"]
    answer = kept.server.get(f"/v1beta1/projects/{PROJECT}/calls/{call}/recordings")
    (recording,) = answer.json["recordings"]
    assert recording["name"].endswith(kept.params[0]["recording_id"])
    everyone = kept.server.get(f"/v1beta1/projects/{PROJECT}/calls/-/recordings")
    assert len(everyone.json["recordings"]) == CALLERS


def test_a_recording_says_what_is_in_its_file(kept: Kept) -> None:
    for number, params in enumerate(kept.params):
        answer = kept.server.get(kept.one(number))
        assert answer.status == 200
        view = answer.json
        path = kept.server.file(params["recording_id"])
        samples = read_wav(path).size
        assert view["name"] == kept.one(number).removeprefix("/v1beta1/")
        assert view["state"] == "SUCCEEDED"
        assert view["source"] == "RECORD_ACTION"
        assert view["channelCount"] == 1
        assert abs(float(view["duration"].removesuffix("s")) - samples / 8000) < 0.001
        shown = [(a["mimeType"], a["encoding"], a["sizeBytes"]) for a in view["audio"]]
        mp3 = kept.server.file(params["recording_id"], "mp3")
        assert shown == [
            ("audio/x-wav", "AUDIO_ENCODING_PCM_16BIT", path.stat().st_size),
            ("audio/mpeg", "AUDIO_ENCODING_MP3", mp3.stat().st_size),
        ]
        assert [audio["sampleRate"] for audio in view["audio"]] == [8000, 8000]


def test_a_download_is_the_file_to_the_byte(kept: Kept) -> None:
    for number, params in enumerate(kept.params):
        answer = kept.server.get(kept.download(number))
        assert answer.status == 200
        assert answer.headers["content-type"] in {"audio/x-wav", "audio/wav"}
        assert answer.body == kept.server.file(params["recording_id"]).read_bytes()
        recorded = read_wav(answer.body)
        assert any(place(sent, recorded).exact for sent in kept.sent)


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-43", slice(0, 44)),
        ("bytes=44-", slice(44, None)),
        ("bytes=-100", slice(-100, None)),
        ("bytes=1000-1000", slice(1000, 1001)),
    ],
)
def test_a_range_is_that_part_of_the_file(kept: Kept, asked: str, part: slice) -> None:
    whole = kept.server.file(kept.params[0]["recording_id"]).read_bytes()
    answer = kept.server.get(kept.download(0), headers={"Range": asked})
    assert answer.status == 206
    assert answer.body == whole[part]
    begin, end, _ = part.indices(len(whole))
    assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(whole)}"
    assert answer.headers["accept-ranges"] == "bytes"


def test_a_range_beyond_the_end_is_a_416(kept: Kept) -> None:
    size = kept.server.file(kept.params[0]["recording_id"]).stat().st_size
    answer = kept.server.get(kept.download(0), headers={"Range": f"bytes={size}-"})
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{size}"


def test_head_tells_size_and_type_without_the_audio(kept: Kept) -> None:
    answer = kept.server.get(kept.download(0), method="HEAD")
    assert answer.status == 200
    assert answer.body == b""
    size = kept.server.file(kept.params[0]["recording_id"]).stat().st_size
    assert int(answer.headers["content-length"]) == size


def test_the_link_of_the_full_view_needs_no_key_and_ends_when_altered(kept: Kept) -> None:
    view = kept.server.get(kept.one(0) + "?view=FULL").json
    link = view["audio"][0]["uri"]
    assert link.startswith(f"http://{kept.server.host}:{kept.server.http_port}/")
    path = link.partition(str(kept.server.http_port))[2]
    answer = kept.server.get(path, key=None)
    assert answer.status == 200
    assert answer.body == kept.server.file(kept.params[0]["recording_id"]).read_bytes()
    altered = path[:-1] + ("0" if path[-1] != "0" else "1")
    assert kept.server.get(altered, key=None).status in {401, 403, 404}


def test_without_a_key_nothing_is_shown(kept: Kept) -> None:
    calls = f"/v1beta1/projects/{PROJECT}/calls/-/recordings"
    for path in (LIST, calls, kept.one(0), kept.download(0)):
        for key in (None, "wrong", KEY[:-1]):
            answer = kept.server.get(path, key=key)
            assert answer.status == 401
            assert "www-authenticate" in answer.headers
            assert answer.json["error"]["code"] == 401


def test_keys_open_what_they_are_for(kept: Kept) -> None:
    assert kept.server.get(LIST, key="only-lists").status == 200
    assert kept.server.get(kept.one(0), key="only-lists").status == 403
    assert kept.server.get(kept.download(0), key="only-lists").status == 403
    assert kept.server.get(LIST, key="only-gets").status == 403
    assert kept.server.get(kept.download(0), key="only-gets").status == 200
    basic = base64.b64encode(f"anybody:{KEY}".encode()).decode()
    answer = kept.server.get(LIST, key=None, headers={"Authorization": f"Basic {basic}"})
    assert answer.status == 200


def test_what_is_not_there_is_a_404_in_the_common_shape(kept: Kept) -> None:
    nobody = "00000000-0000-4000-8000-00000000ffff"
    for path in (
        kept.one(0).replace(kept.params[0]["recording_id"], nobody),
        kept.one(0).replace(kept.params[0]["call_id"], nobody),
        f"/v1beta1/projects/{nobody}/recordings",
        f"/api/v1/recordings/{nobody}/download",
        "/nothing",
    ):
        answer = kept.server.get(path)
        assert answer.status == 404, path
        assert set(answer.json["error"]) == {"code", "message", "status", "details"}


@pytest.mark.parametrize("query", ["pageSize=-1", "pageSize=x", "pageToken=x", "view=X", "a=b"])
def test_a_parameter_that_makes_no_sense_is_a_400(kept: Kept, query: str) -> None:
    answer = kept.server.get(f"{LIST}?{query}")
    assert answer.status == 400
    assert answer.json["error"]["status"] == "INVALID_ARGUMENT"


def test_health_needs_no_key(kept: Kept) -> None:
    answer = kept.server.get("/health", key=None)
    assert answer.status == 200
    assert answer.json["status"] == "ok"
    assert answer.json["version"]
    assert set(answer.json["media"]) == {"late_p50_ms", "late_p99_ms", "busy", "loop_busy"}
