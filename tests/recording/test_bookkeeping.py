"""The account that comes with a render: of the same samples, from real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from farend.journals import FIRST, RATE, job_for, wav_samples, write_journal
from mediaserver.audio.vad import DEFAULT_SENSITIVITY
from mediaserver.audio.voice import babble
from mediaserver.recording.account import Account
from mediaserver.recording.journal import NOTES
from mediaserver.recording.render import render
from mediaserver.recording.rendering import RenderJob
from mediaserver.recording.resource import Direction, Pause, PauseBehavior
from mediaserver.rtp.spans import FOREVER, Kind, pack

COUNT = 12 * RATE + 5
PAUSES = (
    Pause(start=FIRST + 3 * RATE, end=FIRST + 3 * RATE + 1234, behavior=PauseBehavior.SKIP),
    Pause(start=FIRST + 6 * RATE, end=FIRST + 7 * RATE, behavior=PauseBehavior.SILENCE),
)
SPANS = pack(
    [
        (Kind.LOST, FIRST + 2 * RATE, FIRST + 2 * RATE + 480),
        (Kind.FILLED, FIRST + 2 * RATE, FIRST + 2 * RATE + 160),
        (Kind.HELD, FIRST + 8 * RATE, FOREVER),
        (Kind.FREED, FIRST + 9 * RATE, FOREVER),
    ]
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two seconds of silence, words, and two of silence; something was sent for a second."""
    line = np.zeros(COUNT, np.int16)
    line[2 * RATE : 10 * RATE] = np.resize(babble("once upon a time there was"), 8 * RATE)
    write_journal(tmp_path, line)
    sent = np.zeros(COUNT, np.int16)
    sent[4 * RATE : 5 * RATE] = 1000
    write_journal(tmp_path, sent, Direction.LISTEN)
    (tmp_path / "journals" / "leg" / NOTES).write_bytes(SPANS)
    return tmp_path


def accounted(data: Path, job: RenderJob) -> tuple[Account, int]:
    """Render a job; return its account and the samples of its wav."""
    rendered = render(job)
    assert rendered.account is not None
    samples = wav_samples(data / rendered.audio[0].path).shape[0]
    assert samples == rendered.samples
    return rendered.account, samples


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("trim", [False, True])
@pytest.mark.parametrize("pauses", [(), PAUSES])
def test_an_account_adds_up_to_the_file(
    data: Path, direction: Direction, trim: bool, pauses: tuple[Pause, ...]
) -> None:
    job = job_for(
        data, COUNT, direction=direction, trim=trim, pauses=pauses, sensitivity=DEFAULT_SENSITIVITY
    )
    account, samples = accounted(data, job)
    assert sum(account.milliseconds.values()) == samples * 1000 // RATE
    assert account.skipped == (1234 * 1000 // RATE if pauses else 0)
    left_out = account.skipped + account.trimmed + samples * 1000 // RATE
    assert abs(left_out - COUNT * 1000 // RATE) <= 2
    # Trimmed to what was sent, the pause behind it is no part of the file.
    gone = trim and direction is Direction.LISTEN
    assert account.milliseconds["paused"] == (1000 if pauses and not gone else 0)
    if direction is Direction.LISTEN:
        assert 1000 <= account.milliseconds["sent"] <= 1020
    else:
        assert account.milliseconds["lost"] == 40
        assert account.milliseconds["held"] == 1000
        assert account.milliseconds["speech"] > 2000


def test_nobody_accounts_for_what_nobody_asked_about(data: Path) -> None:
    assert render(job_for(data, COUNT)).account is None


def test_without_notes_a_gap_is_silence(data: Path) -> None:
    (data / "journals" / "leg" / NOTES).unlink()
    account, _ = accounted(data, job_for(data, COUNT, sensitivity=DEFAULT_SENSITIVITY))
    assert account.milliseconds["lost"] == account.milliseconds["held"] == 0


def test_notes_cut_short_by_a_crash_tell_what_is_whole(data: Path) -> None:
    path = data / "journals" / "leg" / NOTES
    path.write_bytes(SPANS[:-3])
    account, _ = accounted(data, job_for(data, COUNT, sensitivity=DEFAULT_SENSITIVITY))
    assert account.milliseconds["held"] == 4000 + 5 * 1000 // RATE
    assert account.milliseconds["lost"] == 40


def test_a_party_to_whom_nothing_was_sent_heard_silence(data: Path) -> None:
    (data / "journals" / "leg" / "listen.journal").unlink()
    job = job_for(data, COUNT, direction=Direction.LISTEN, sensitivity=DEFAULT_SENSITIVITY)
    account, samples = accounted(data, job)
    assert account.milliseconds == {"paused": 0, "sent": 0, "silence": samples * 1000 // RATE}


def test_a_long_account_shows_that_it_goes_on(data: Path) -> None:
    """An encoder that says nothing for long is taken for one that hangs."""
    told: list[None] = []
    quiet, loud = job_for(data, COUNT), job_for(data, COUNT, sensitivity=DEFAULT_SENSITIVITY)
    render(quiet, lambda: told.append(None))
    before = len(told)
    render(loud, lambda: told.append(None))
    assert len(told) > 2 * before
