from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from mediaserver.recording.resource import Audio, Direction, Format, Recording
from mediaserver.web import downloads
from mediaserver.web.links import Links, download_url
from mediaserver.web.ranges import RangeError, Stretch, choose_stretch, matches_etag

PROJECT = "00000000-0000-4000-8000-000000000001"

Finished = Callable[..., tuple[Recording, bytes]]


def path_of(recording: Recording) -> str:
    return f"/api/v1/recordings/{recording.id}/download"


async def signed_path(api: Any, recording: Recording) -> str:
    _, _, body = await api.ask(f"/v1beta1/projects/{PROJECT}/calls/-/recordings/{recording.id}")
    parts = urlsplit(body["audio"][0]["uri"])
    return f"{parts.path}?{parts.query}"


async def test_a_download_is_the_file_with_its_type(api: Any, finished: Finished) -> None:
    recording, content = finished(1, size=700_001)
    await api.recordings.add(recording)
    status, headers, body = await api.ask(path_of(recording))
    assert (status, body) == (200, content)
    assert headers["Content-Type"] == "audio/x-wav"
    assert headers["Content-Length"] == "700001"
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["ETag"] == f'"{recording.audio[0].sha256}"'
    assert recording.id in headers["Content-Disposition"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Server"] == "mediaserver"


async def test_head_has_the_headers_and_no_body(api: Any, finished: Finished) -> None:
    recording, _ = finished(1)
    await api.recordings.add(recording)
    status, headers, body = await api.ask(path_of(recording), method="HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", "1000")


@pytest.mark.parametrize(
    ("range_", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=990-", 990, 1000),
        ("bytes=-5", 995, 1000),
        ("bytes=-5000", 0, 1000),
        ("bytes=5-99999", 5, 1000),
        ("Bytes = 1 - 2", 1, 3),
    ],
)
async def test_a_range_is_206_with_just_these_octets(
    api: Any, finished: Finished, range_: str, start: int, end: int
) -> None:
    recording, content = finished(1)
    await api.recordings.add(recording)
    for path, key in [
        (path_of(recording), "key-for-everything"),
        (await signed_path(api, recording), None),
    ]:
        status, headers, body = await api.ask(path, key=key, headers={"Range": range_})
        assert (status, body) == (206, content[start:end])
        assert headers["Content-Range"] == f"bytes {start}-{end - 1}/1000"


@pytest.mark.parametrize("range_", ["bytes=1000-", "bytes=1000-2000", "bytes=-0"])
async def test_a_range_beyond_the_end_is_416(api: Any, finished: Finished, range_: str) -> None:
    recording, _ = finished(1)
    await api.recordings.add(recording)
    status, headers, body = await api.ask(path_of(recording), headers={"Range": range_})
    assert status == 416
    assert headers["Content-Range"] == "bytes */1000"
    assert body["error"]["status"] == "OUT_OF_RANGE"


@pytest.mark.parametrize(
    "range_",
    [
        "bytes=5-1",
        "bytes=a-b",
        "bytes=-",
        "bytes",
        "lines=1-2",
        "bytes=0-1,3-4",
        "bytes=--5",
        "bytes=1-" + "9" * 5000,
        "",
    ],
)
def test_a_range_that_cannot_be_read_is_ignored(range_: str) -> None:
    assert choose_stretch(range_, None, '"tag"', 10) == Stretch(0, 10, partial=False)


def test_if_range_asks_for_all_of_another_version() -> None:
    part = Stretch(1, 3, partial=True)
    whole = Stretch(0, 10, partial=False)
    assert choose_stretch("bytes=1-2", '"tag"', '"tag"', 10) == part
    for other in ['"other"', 'W/"tag"', "Tue, 14 Nov 2023 22:13:20 GMT"]:
        assert choose_stretch("bytes=1-2", other, '"tag"', 10) == whole


def test_an_empty_file_has_no_range() -> None:
    with pytest.raises(RangeError):
        choose_stretch("bytes=0-", None, '"tag"', 0)


@pytest.mark.parametrize(
    ("header", "matches"),
    [(None, False), ('"tag"', True), ('"a", W/"tag"', True), ("*", True), ('"a"', False)],
)
def test_an_entity_tag_is_found_in_a_list(header: str | None, matches: bool) -> None:
    assert matches_etag(header, '"tag"') is matches


async def test_what_the_client_has_is_not_sent_again(api: Any, finished: Finished) -> None:
    recording, _ = finished(1)
    await api.recordings.add(recording)
    etag = f'"{recording.audio[0].sha256}"'
    status, headers, body = await api.ask(path_of(recording), headers={"If-None-Match": etag})
    assert (status, body, headers["ETag"]) == (304, b"", etag)


async def test_a_recording_without_audio_has_no_download(
    api: Any, finished: Finished, make_recording: Callable[..., Recording]
) -> None:
    pending = make_recording(1)
    await api.recordings.add(pending)
    assert (await api.ask(path_of(pending)))[0] == 404
    recording, _ = finished(2)
    await api.recordings.add(recording)
    assert (await api.ask(path_of(recording) + "?format=mp3"))[0] == 404
    assert (await api.ask(path_of(recording) + "?format=wav"))[0] == 200
    assert (await api.ask(path_of(recording) + "?format=exe"))[0] == 400
    assert (await api.ask(path_of(recording) + "?name=x"))[0] == 400


async def test_a_file_that_is_gone_a_link_or_a_folder_is_404(
    api: Any, finished: Finished, tmp_path: Path
) -> None:
    recording, _ = finished(1)
    await api.recordings.add(recording)
    real = tmp_path / recording.audio[0].path
    real.unlink()
    assert (await api.ask(path_of(recording)))[0] == 404
    real.mkdir()
    assert (await api.ask(path_of(recording)))[0] == 404
    real.rmdir()
    os.mkfifo(real)
    assert (await api.ask(path_of(recording)))[0] == 404


async def test_a_stored_path_that_leads_elsewhere_opens_nothing(
    api: Any, finished: Finished
) -> None:
    recording, _ = finished(1)
    (audio,) = recording.audio
    elsewhere = replace(recording, audio=(replace(audio, path="../../etc/passwd"),))
    await api.recordings.add(elsewhere)
    status, _, body = await api.ask(path_of(recording))
    assert status == 503
    assert "passwd" not in str(body)


async def test_a_signed_link_works_without_a_key_for_sixty_minutes(
    api: Any, finished: Finished, clock: Any
) -> None:
    recording, content = finished(1)
    await api.recordings.add(recording)
    link = await signed_path(api, recording)
    for later, expected in [(0, 200), (3599, 200), (3601.0, 403), (7200, 403)]:
        clock.now = 1_700_000_000 + later
        status, _, body = await api.ask(link, key=None)
        assert status == expected
        assert (body == content) is (expected == 200)


async def test_a_link_altered_anywhere_opens_nothing(
    api: Any, finished: Finished, clock: Any
) -> None:
    """S17."""
    recording, _ = finished(1)
    other, _ = finished(2)
    await api.recordings.add(recording)
    await api.recordings.add(other)
    link = await signed_path(api, recording)
    path, _, query = link.partition("?")
    given = dict(parse_qsl(query))
    late = str(int(given["expires"]) + 1)
    flipped = [
        given["signature"][:at]
        + ("0" if given["signature"][at] != "0" else "1")
        + given["signature"][at + 1 :]
        for at in range(64)
    ]
    queries = [
        *({**given, "signature": signature} for signature in flipped),
        {**given, "signature": ""},
        {**given, "signature": given["signature"].upper()},
        {**given, "expires": late},
        {**given, "expires": "9" * 400},
        {**given, "expires": "+" + given["expires"]},
        {**given, "expires": "é"},
        {**given, "format": "mp3"},
        {**given, "rendition": "1"},
        {**given, "rendition": "00"},
        {**given, "format": "wav%0A0", "rendition": given["expires"], "expires": ""},
        {key: value for key, value in given.items() if key != "signature"},
        {key: value for key, value in given.items() if key != "expires"},
        {key: value for key, value in given.items() if key != "format"},
        {key: value for key, value in given.items() if key != "rendition"},
    ]
    for changed in queries:
        altered = path + "?" + "&".join(f"{key}={value}" for key, value in changed.items())
        status, _, _ = await api.ask(altered.replace("é", "%C3%A9"), key=None)
        assert status == 403, changed
    assert (await api.ask(f"{path_of(other)}?{query}", key=None))[0] == 403
    for more in (f"expires={late}", "follow=true", "x=1"):
        assert (await api.ask(f"{link}&{more}", key=None))[0] == 403


async def test_each_rendition_has_a_file_and_a_link_of_its_own(
    api: Any, finished: Finished, tmp_path: Path
) -> None:
    recording, content = finished(1)
    (wav,) = recording.audio
    files = [wav]
    for rendition, format in [(1, Format.MP3), (2, Format.MP3), (2, Format.WAV)]:
        path = f"recordings/{recording.id}-{rendition}.{format}"
        (tmp_path / path).write_bytes(f"{rendition} {format}".encode())
        files.append(
            replace(
                wav,
                format=format,
                rendition=rendition,
                path=path,
                sha256=f"{rendition}{format}",
                direction=Direction.LISTEN,
            )
        )
    recording = replace(recording, audio=tuple(files))
    await api.recordings.add(recording)
    _, _, body = await api.ask(f"/v1beta1/projects/{PROJECT}/calls/-/recordings/{recording.id}")
    got = []
    for shown in body["audio"]:
        parts = urlsplit(shown["uri"])
        status, headers, sent = await api.ask(f"{parts.path}?{parts.query}", key=None)
        assert status == 200
        got.append((sent, headers["Content-Disposition"].partition("filename=")[2]))
    assert got == [
        (content, f'"{recording.id}.wav"'),
        (b"1 mp3", f'"{recording.id}-1.mp3"'),
        (b"2 mp3", f'"{recording.id}-2.mp3"'),
        (b"2 wav", f'"{recording.id}-2.wav"'),
    ]
    for query, expected in [
        ("?rendition=0", content),
        ("?rendition=1", b"1 mp3"),
        ("?rendition=2", b"2 wav"),
        ("?rendition=2&format=mp3", b"2 mp3"),
    ]:
        assert (await api.ask(path_of(recording) + query))[2] == expected, query
    for query, status in [
        ("?rendition=3", 404),
        ("?rendition=1&format=wav", 404),
        ("?format=mp3", 404),
        ("?rendition=-1", 400),
        ("?rendition=one", 400),
        ("?rendition=" + "9" * 5000, 400),
        ("?rendition=%D9%A3", 400),
    ]:
        assert (await api.ask(path_of(recording) + query))[0] == status, query


def test_a_callback_signature_opens_no_download(clock: Any) -> None:
    import hashlib
    import hmac

    links = Links("http://h", "key", clock)
    expires = str(int(clock.now) + 60)
    message = f"GET\n/api/v1/recordings/r/download\nwav\n0\n{expires}"
    forged = hmac.new(b"key", message.encode(), hashlib.sha256).hexdigest()
    assert not links.opens("r", "wav", "0", expires, forged)


def test_links_begin_with_the_public_url(clock: Any) -> None:
    assert download_url("https://m.example/voice/", "r") == (
        "https://m.example/voice/api/v1/recordings/r/download"
    )
    audio = Audio(
        format=Format.MP3, path="r.mp3", size_bytes=1, sample_rate=8000, channels=1, sha256=""
    )
    signed = Links("https://m.example/voice", "key", clock).signed("r", audio)
    assert signed.startswith("https://m.example/voice/api/v1/recordings/r/download?format=mp3&")


async def test_a_reader_that_takes_nothing_is_cut_off(
    api: Any, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = [route for route in api.app.router.routes() if "download" in str(route.resource)]
    owner = routes[0].handler.args[0].handler.__self__
    assert owner._stall == downloads.STALL
    monkeypatch.setattr(owner, "_stall", 0.2)
    recording, _ = finished(1, size=30_000_000)
    await api.recordings.add(recording)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(client, api.server.address)
        await loop.sock_sendall(
            client,
            f"GET {path_of(recording)} HTTP/1.1\r\nHost: x\r\n"
            "Authorization: Bearer key-for-everything\r\n\r\n".encode(),
        )
        await asyncio.sleep(0.6)
        received = 0
        async with asyncio.timeout(5):
            try:
                while chunk := await loop.sock_recv(client, 1 << 20):
                    received += len(chunk)
            except ConnectionResetError:
                pass
        assert received < 30_000_000
    finally:
        client.close()


async def test_a_file_that_shrinks_breaks_the_connection_and_not_the_server(
    api: Any, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    import aiohttp

    recording, _ = finished(1, size=600_000)
    await api.recordings.add(recording)
    monkeypatch.setattr(
        os, "pread", lambda fd, n, at, real=os.pread: real(fd, n, at) if at == 0 else b""
    )
    with pytest.raises(aiohttp.ClientError):
        await api.ask(path_of(recording))
    monkeypatch.undo()
    assert (await api.ask(path_of(recording)))[0] == 200
