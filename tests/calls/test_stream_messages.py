"""The messages of a media stream, as servers of such streams read and write them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from mediaserver.audio.live_codec import LiveCodec
from mediaserver.calls.stream_messages import (
    INBOUND,
    OUTBOUND,
    Clear,
    Mark,
    Media,
    StreamMessages,
    read_message,
)


def written(codec: LiveCodec | None = None) -> list[dict[str, Any]]:
    messages = StreamMessages(
        stream_id="stream-1",
        project_id="project-1",
        call_id="call-1",
        tracks=(INBOUND, OUTBOUND),
        codec=codec or LiveCodec("PCMU"),
        custom_parameters={"tier": "gold"},
    )
    texts = [
        messages.connected(),
        messages.start(),
        messages.media(INBOUND, 0, b"\x01\x02"),
        messages.media(OUTBOUND, 0, b"\x03"),
        messages.dtmf("5"),
        messages.media(INBOUND, 3, b"\x04"),
        messages.mark("said"),
        messages.stop("call_ended"),
    ]
    return [json.loads(text) for text in texts]


def test_a_stream_says_first_what_it_is() -> None:
    connected, start = written()[:2]
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start == {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": "stream-1",
        "start": {
            "streamSid": "stream-1",
            "accountSid": "project-1",
            "callSid": "call-1",
            "tracks": ["inbound", "outbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"tier": "gold"},
        },
    }


def test_another_codec_is_named_with_its_rate() -> None:
    start = written(LiveCodec("L16", 24_000))[1]["start"]
    assert start["mediaFormat"] == {"encoding": "audio/x-l16", "sampleRate": 24_000, "channels": 1}


def test_frames_are_counted_by_track_and_dated_by_their_place() -> None:
    media = [message["media"] for message in written() if message["event"] == "media"]
    assert media == [
        {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": "AQI="},
        {"track": "outbound", "chunk": "1", "timestamp": "0", "payload": "Aw=="},
        {"track": "inbound", "chunk": "2", "timestamp": "60", "payload": "BA=="},
    ]


def test_every_message_after_the_first_is_numbered_and_named() -> None:
    numbered = written()[1:]
    assert [message["sequenceNumber"] for message in numbered] == list("1234567")
    assert {message["streamSid"] for message in numbered} == {"stream-1"}
    by_event = {message["event"]: message for message in numbered}
    assert by_event["dtmf"]["dtmf"] == {"track": "inbound_track", "digit": "5"}
    assert by_event["mark"]["mark"] == {"name": "said"}
    assert by_event["stop"]["stop"] == {
        "accountSid": "project-1",
        "callSid": "call-1",
        "reason": "call_ended",
    }


@pytest.mark.parametrize(
    ("message", "meant"),
    [
        ({"event": "media", "media": {"payload": b64encode(b"abc").decode()}}, Media(b"abc")),
        ({"event": "mark", "mark": {"name": "x" * 300}}, Mark("x" * 256)),
        ({"event": "clear", "streamSid": "any"}, Clear()),
        ({"event": "stop"}, None),
        ({"event": None}, None),
        ({}, None),
    ],
)
def test_what_a_server_may_say_is_understood(message: object, meant: object) -> None:
    assert read_message(json.dumps(message)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "nonsense",
        b"\xff\x00",
        '{"event":"media"}',
        '{"event":"media","media":{"payload":7}}',
        '{"event":"media","media":{"payload":"%%%%"}}',
        '{"event":"mark","mark":{"name":1}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_message_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_message(text)
