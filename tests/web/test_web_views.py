from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from mediaserver.recording.announcement import record_params
from mediaserver.recording.failure import Failure
from mediaserver.recording.resource import (
    Direction,
    Format,
    Pause,
    PauseBehavior,
    PostProcessing,
    Recording,
    Span,
)
from mediaserver.recording.states import State, StopReason
from mediaserver.web.views import (
    MAX_ANNOUNCED,
    announced,
    duration,
    recording_view,
    timestamp,
    without_user,
)


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0.000s"),
        (12_340_000, "12.340s"),
        (12_340_001, "12.340001s"),
        (999, "0.000999s"),
        (3_600_000_000, "3600.000s"),
    ],
)
def test_durations_have_three_or_six_places(microseconds: int, text: str) -> None:
    assert duration(microseconds) == text


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_623_307_722_120_000, "2021-06-10T06:48:42.120Z"),
        (1_623_307_722_120_001, "2021-06-10T06:48:42.120001Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_timestamps_are_utc_and_exact(microseconds: int, text: str) -> None:
    assert timestamp(microseconds) == text


def test_every_file_of_a_recording_is_shown(
    finished: Callable[..., tuple[Recording, bytes]],
) -> None:
    recording, _ = finished(1, stereo=True)
    (wav,) = recording.audio
    several = tuple(replace(wav, format=format) for format in Format)
    view = recording_view(replace(recording, audio=several), lambda audio: f"uri of {audio.format}")
    assert view["channelCount"] == 2
    assert [(a["mimeType"], a["encoding"], a["uri"]) for a in view["audio"]] == [
        ("audio/x-wav", "AUDIO_ENCODING_PCM_16BIT", "uri of wav"),
        ("audio/mpeg", "AUDIO_ENCODING_MP3", "uri of mp3"),
        ("audio/mp4", "AUDIO_ENCODING_UNSPECIFIED", "uri of mp4"),
    ]


def test_a_failure_without_a_code_is_an_internal_error(
    make_recording: Callable[..., Recording],
) -> None:
    view = recording_view(make_recording(1, state=State.ERROR), None)
    assert view["errorCode"] == "INTERNAL_ERROR"
    assert view["x-mediaserver"]["failure"]["reason"] == "internal"


def test_what_failed_is_named_and_said(make_recording: Callable[..., Recording]) -> None:
    full = make_recording(
        1, state=State.ERROR, failure=Failure.STORAGE_FULL, error_message="cannot write /var/x"
    )
    view = recording_view(full, None)
    assert view["errorCode"] == "INTERNAL_ERROR"
    assert view["x-mediaserver"]["failure"] == {
        "reason": "storage_full",
        "message": "The server's disk was full.",
    }
    # Where the server keeps its files is nobody's business.
    assert "/var/x" not in json.dumps(view)
    (told,) = [record_params(full, "node", "http://u")["x-mediaserver"]]
    assert told == {"failure": view["x-mediaserver"]["failure"]}
    assert "x-mediaserver" not in record_params(make_recording(1), "node", "http://u")


def test_a_callback_url_with_its_password_is_not_shown(
    make_recording: Callable[..., Recording],
) -> None:
    view = recording_view(make_recording(1, status_url="http://u:secret@h/"), None)
    assert "secret" not in str(view)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://app.example.com/ready?x=1", "https://app.example.com/ready?x=1"),
        ("https://user:pass@app.example.com/ready", "https://app.example.com/ready"),
        ("https://user@app.example.com:8443", "https://app.example.com:8443"),
        ("https://u:p@ss@h/a@b?c@d#e", "https://h/a@b?c@d#e"),
        ("https://u:p@[::1]:8080/x", "https://[::1]:8080/x"),
        ("https://u:p@h?mail=a@b", "https://h?mail=a@b"),
    ],
)
def test_a_ready_uri_is_shown_without_user_and_password(
    make_recording: Callable[..., Recording], url: str, shown: str
) -> None:
    assert without_user(url) == shown
    assert recording_view(make_recording(1, ready_uri=url), None)["readyUri"] == shown


def test_a_recording_without_a_ready_uri_shows_none(
    make_recording: Callable[..., Recording],
) -> None:
    assert "readyUri" not in recording_view(make_recording(1), None)


def test_what_is_done_to_the_audio_is_shown(make_recording: Callable[..., Recording]) -> None:
    trimmed = make_recording(1, post_processing=(PostProcessing.TRIM_SILENCE,))
    assert recording_view(trimmed, None)["postProcessing"] == ["TRIM_SILENCE"]


def test_what_the_contract_does_not_know_is_in_one_object(
    finished: Callable[..., tuple[Recording, bytes]],
) -> None:
    recording, _ = finished(
        1,
        span=Span(journal="journal/leg", rate=16000, start=1600, end=1600 + 13 * 16000),
        pauses=(
            Pause(start=1600 + 16000, behavior=PauseBehavior.SKIP, end=1600 + 24000),
            Pause(start=1600 + 32008, behavior=PauseBehavior.SILENCE, end=1600 + 40000),
        ),
        stop_reason=StopReason.TERMINATOR,
        stop_digit="#",
        recovered=True,
        expires_at=1_700_000_000_000_000,
        account={"milliseconds": {"speech": 12_340}},
        sequence=5,
    )
    (wav,) = recording.audio
    later = replace(
        wav,
        format=Format.MP3,
        rendition=1,
        direction=Direction.LISTEN,
        trimmed=True,
        duration_us=11_000_000,
        channels=2,
    )
    view = recording_view(replace(recording, audio=(wav, later)), None)
    assert view["x-mediaserver"] == {
        "controlId": "control",
        "direction": "speak",
        "stopReason": "terminator",
        "stopDigit": "#",
        "recovered": True,
        "pauses": [
            {"behavior": "skip", "startMs": 1000, "endMs": 1500},
            {"behavior": "silence", "startMs": 2000, "endMs": 2500},
        ],
        "audio": [
            {
                "rendition": 0,
                "format": "wav",
                "direction": "speak",
                "channelCount": 1,
                "trimmed": False,
                "duration": "12.340s",
            },
            {
                "rendition": 1,
                "format": "mp3",
                "direction": "listen",
                "channelCount": 2,
                "trimmed": True,
                "duration": "11.000s",
            },
        ],
        "expiresAt": "2023-11-14T22:13:20.000Z",
        "account": {"milliseconds": {"speech": 12_340}},
        "sequence": 5,
    }


def test_what_is_not_known_yet_is_absent_from_the_extension(
    make_recording: Callable[..., Recording],
) -> None:
    paused = make_recording(
        1, state=State.PAUSED, pauses=(Pause(start=800, behavior=PauseBehavior.SKIP),)
    )
    assert recording_view(paused, None)["x-mediaserver"] == {
        "controlId": "control",
        "direction": "speak",
        "recovered": False,
        "pauses": [{"behavior": "skip", "startMs": 100}],
        "audio": [],
        "sequence": 0,
    }


def test_files_of_a_recording_that_is_empty_are_not_shown(
    finished: Callable[..., tuple[Recording, bytes]],
) -> None:
    recording, _ = finished(1, state=State.NO_INPUT)
    view = recording_view(recording, lambda audio: "uri")
    assert (view["state"], view["audio"], view["x-mediaserver"]["audio"]) == ("EMPTY", [], [])
    assert "duration" not in view


def test_what_is_announced_is_the_full_view_and_never_too_large_to_be_kept(
    finished: Callable[..., tuple[Recording, bytes]],
) -> None:
    recording, _ = finished(1, ready_uri="https://u:secret@app.example.com/")
    body = announced(recording, lambda audio: "uri")
    assert json.loads(body) == recording_view(recording, lambda audio: "uri")
    assert b"secret" not in body
    pause = Pause(start=0, behavior=PauseBehavior.SKIP, end=1)
    body = announced(replace(recording, pauses=(pause,) * 10_000), lambda audio: "uri")
    assert len(body) < MAX_ANNOUNCED
    assert json.loads(body)["audio"][0]["uri"] == "uri"
    assert "x-mediaserver" not in json.loads(body)
