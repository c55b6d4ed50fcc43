"""Where every millisecond of a recording came from: the parts are the whole, always."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mediaserver.audio.vad import DEFAULT_SENSITIVITY
from mediaserver.audio.voice import babble
from mediaserver.recording import explanation
from mediaserver.recording.account import (
    MOST_SPURTS,
    Reader,
    Stretch,
    account_sent,
    account_spoken,
    shares,
)
from mediaserver.recording.intervals import common, joined, length, part, without
from mediaserver.recording.recorder import Recorder, StopRules
from mediaserver.recording.resource import Pause, PauseBehavior
from mediaserver.recording.states import StopReason
from mediaserver.rtp.spans import FOREVER, Kind

LINE = 400_000
SKIP, SILENCE = PauseBehavior.SKIP, PauseBehavior.SILENCE


def reader(samples: NDArray[np.int16]) -> Reader:
    def read(start: int, end: int) -> NDArray[np.int16]:
        out = np.zeros(end - start, np.int16)
        there = samples[start:end]
        out[: there.size] = there
        return out

    return read


def spans(*rows: tuple[int, int, int]) -> NDArray[np.int64]:
    return np.array(rows, np.int64).reshape(-1, 3)


def spoken(seconds: float) -> NDArray[np.int16]:
    voice = babble("one two three four five six seven eight nine ten eleven twelve")
    return np.resize(voice, round(8000 * seconds))


@st.composite
def pauses(draw: st.DrawFn, start: int, end: int) -> tuple[Pause, ...]:
    cuts = sorted(draw(st.lists(st.integers(start, end), max_size=8, unique=True)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return tuple(
        Pause(start=a, end=b, behavior=draw(st.sampled_from([SKIP, SILENCE]))) for a, b in pairs
    )


position = st.integers(0, LINE)
gap = st.tuples(st.sampled_from([Kind.LOST, Kind.FILLED, Kind.KEY]), position, position)
hold = st.tuples(st.sampled_from([Kind.HELD, Kind.FREED]), position, st.just(FOREVER))


@given(
    data=st.data(),
    rows=st.lists(gap | hold, max_size=30),
    ends=st.tuples(position, position),
    kept=st.none() | st.tuples(position, position),
    rate=st.sampled_from([8000, 16000]),
)
def test_the_sum_is_the_duration_whatever_was_lost_held_paused_or_pressed(
    data: st.DataObject,
    rows: Sequence[tuple[int, int, int]],
    ends: tuple[int, int],
    kept: tuple[int, int] | None,
    rate: int,
) -> None:
    start, end = sorted(ends)
    stretch = Stretch(
        start=start, end=end, rate=rate, pauses=data.draw(pauses(start, end)), kept=kept
    )
    skipped = sum(p.end - p.start for p in stretch.pauses if p.behavior is SKIP and p.end)
    samples = end - start - skipped
    if kept is not None:
        samples = max(0, min(kept[1], samples) - min(kept[0], samples))
    duration_us = samples * 1_000_000 // rate
    account = account_spoken(reader(VOICE), spans(*rows), stretch, DEFAULT_SENSITIVITY)
    assert sum(account.milliseconds.values()) == duration_us // 1000
    assert min(account.milliseconds.values()) >= 0
    sent = account_sent(reader(VOICE), stretch)
    assert sum(sent.milliseconds.values()) == duration_us // 1000


VOICE = spoken(20.0)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 1 << 40), max_size=8))
def test_rounded_shares_add_up_and_are_none_of_them_off_by_a_millisecond(
    samples: dict[str, int],
) -> None:
    rounded = shares(samples, 8000)
    assert sum(rounded.values()) == sum(samples.values()) // 8
    for name, count in samples.items():
        assert abs(8 * rounded[name] - count) < 8


bits = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=10)


@given(bits, bits, st.integers(0, 60), st.integers(0, 60))
def test_intervals_are_what_sets_of_their_positions_are(
    one: list[tuple[int, int]], other: list[tuple[int, int]], start: int, end: int
) -> None:
    a, b = joined(one), joined(other)
    first, second = ({n for x, y in i for n in range(x, y)} for i in (one, other))

    def members(intervals: list[tuple[int, int]]) -> list[int]:
        return [n for x, y in intervals for n in range(x, y)]

    assert members(a) == sorted(first)
    assert members(common(a, b)) == sorted(first & second)
    assert members(without(a, b)) == sorted(first - second)
    assert members(part(a, start, end)) == sorted(first)[start:end]
    assert length(a) == len(first)


def test_each_sample_counts_under_the_first_name_that_holds() -> None:
    rows = spans(
        (Kind.LOST, 0, 8000),
        (Kind.FILLED, 6000, 8000),
        (Kind.KEY, 1600, 2400),
        (Kind.HELD, 3200, FOREVER),
        (Kind.FREED, 4000, FOREVER),
    )
    stretch = Stretch(
        start=800,
        end=16_000,
        rate=8000,
        pauses=(
            Pause(start=3600, end=3800, behavior=SILENCE),
            Pause(start=4800, end=5600, behavior=SKIP),
        ),
    )
    account = account_spoken(reader(np.zeros(0, np.int16)), rows, stretch, DEFAULT_SENSITIVITY)
    assert account.milliseconds == {
        "paused": 25,
        "held": 75,
        "dtmf": 100,
        "lost": (6000 - 800 - 800 - 800 - 800) // 8,
        "concealed": 0,
        "speech": 0,
        "silence": 1250,
    }
    assert account.skipped == 100
    assert account.spurts == ()
    assert account.spoken_until is None


def test_what_is_trimmed_off_does_not_count() -> None:
    rows = spans((Kind.LOST, 0, 4000))
    pause = Pause(start=800, end=1600, behavior=SKIP)
    stretch = Stretch(start=0, end=16_000, rate=8000, pauses=(pause,), kept=(1600, 8000))
    account = account_spoken(reader(np.zeros(0, np.int16)), rows, stretch, DEFAULT_SENSITIVITY)
    # 0.2 s of the file are 0.3 s of the line, for the pause lies before.
    assert account.milliseconds["lost"] == 200
    assert account.milliseconds["silence"] == 600
    assert account.trimmed == 1900 - 800
    assert account.skipped == 100


def test_a_hold_that_nobody_ended_lasts_to_the_end() -> None:
    rows = spans((Kind.HELD, 4000, FOREVER))
    stretch = Stretch(start=0, end=8000, rate=8000)
    account = account_spoken(reader(np.zeros(0, np.int16)), rows, stretch, DEFAULT_SENSITIVITY)
    assert account.milliseconds["held"] == 500


def test_speech_is_where_it_was_spoken() -> None:
    line = np.concatenate(
        [np.zeros(8000, np.int16), spoken(2.0), np.zeros(16_000, np.int16), spoken(1.0)]
    )
    stretch = Stretch(start=0, end=line.size, rate=8000)
    account = account_spoken(reader(line), spans(), stretch, DEFAULT_SENSITIVITY)
    first, *_, last = account.spurts
    loud = np.flatnonzero(np.abs(line.astype(np.int32)) > 300) / 8
    assert abs(first[0] - loud[0]) <= 40
    assert abs(last[1] - loud[-1]) <= 40
    assert all(not 3100 < a < 4900 for spurt in account.spurts for a in spurt)
    inside = sum(b - a for a, b in account.spurts)
    assert abs(account.milliseconds["speech"] - inside) <= len(account.spurts)
    assert account.spoken_until is not None
    assert account.spoken_until == last[1]


def test_the_voice_is_heard_as_the_recorder_hears_it() -> None:
    """The trace is of the frames by which the recorder stopped, after a pause as before."""
    silence = np.zeros(16_000, np.int16)
    line = np.concatenate([silence, spoken(3.0), silence, silence])
    rules = StopRules(end_silence_timeout=1.0)
    recorder = Recorder(rules, 333)
    stop = recorder.advance(line.size, line.size, reader(line))
    assert stop is not None
    stretch = Stretch(start=333, end=stop.position, rate=8000)
    account = account_spoken(reader(line), spans(), stretch, rules.input_sensitivity)
    told = explanation.complete(
        explanation.end(
            explanation.begin(rules), stop.reason, None, (stop.position - 333) // 8, None
        ),
        account,
    )
    assert told is not None
    trace = told["trace"]
    assert trace["stop_reason"] == "end_silence"
    assert trace["position_ms"] == trace["last_speech_end_ms"] + trace["fade_ms"] + 1000
    assert 0 <= trace["fade_ms"] <= 300
    assert trace["rules"]["end_silence_timeout"] == 1.0
    assert trace["voice"] == {"mode": 2, "floor_dbov": -53.2, "margin_db": 4.24}


def test_only_so_many_spurts_are_listed_and_all_are_counted() -> None:
    word = np.concatenate([spoken(0.3), np.zeros(4000, np.int16)])
    line = np.tile(word, 520)
    stretch = Stretch(start=0, end=line.size, rate=8000)
    account = account_spoken(reader(line), spans(), stretch, DEFAULT_SENSITIVITY)
    assert len(account.spurts) == MOST_SPURTS
    assert account.spurts_in_all > MOST_SPURTS


def test_what_was_sent_is_told_from_silence() -> None:
    line = np.zeros(24_000, np.int16)
    line[8000:12_000] = 1000
    stretch = Stretch(
        start=0, end=24_000, rate=8000, pauses=(Pause(start=20_000, end=24_000, behavior=SILENCE),)
    )
    account = account_sent(reader(line), stretch)
    assert account.milliseconds == {"paused": 500, "sent": 500, "silence": 2000}


@pytest.mark.parametrize("known", [None, {}])
def test_a_recording_of_which_nothing_was_noted_is_accounted_for_all_the_same(
    known: dict[str, object] | None,
) -> None:
    stretch = Stretch(start=0, end=8000, rate=8000)
    account = account_spoken(reader(VOICE), spans(), stretch, explanation.sensitivity(known))
    ended = explanation.end(known, StopReason.RESTART, None, 1000, None)
    told = explanation.complete(ended, account)
    assert told is not None
    assert sum(told["milliseconds"].values()) == 1000
    assert told["trace"]["stop_reason"] == "restart"
    assert told["trace"]["fade_ms"] is None
