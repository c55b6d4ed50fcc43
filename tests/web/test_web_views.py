from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mediaserver.recording.resource import Format, Recording
from mediaserver.recording.states import State
from mediaserver.web.views import duration, recording_view, timestamp


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
    view = recording_view(replace(recording, audio=several), lambda format: f"uri of {format}")
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


def test_a_callback_url_with_its_password_is_not_shown(
    make_recording: Callable[..., Recording],
) -> None:
    view = recording_view(make_recording(1, status_url="http://u:secret@h/"), None)
    assert "secret" not in str(view)
