"""Who answered: what the rules say, on lines that are made; and how well it does on real voices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.speech import choose
from farend.waveform import read_wav
from mediaserver.audio.answering import Event, Finding, MachineDetector, MachineRules, Verdict
from mediaserver.audio.single_tone import FaxTone
from mediaserver.audio.tones import dtmf, ring, silence, sine

Samples = NDArray[np.int16]

DEFAULT = MachineRules()
TO_THE_END = MachineRules(detect_message_end=True)


def voice(seconds: float, *, level: float = -22.0) -> Samples:
    """Return syllables of four vowels a second, of a pitch that moves: a voice to the detector.

    50 ms between syllables are nearly silent: no pause that parts words, but no hum either. Nor
    are they all of one level, as tones that come and go are.
    """
    time = np.arange(round(seconds * 8000)) / 8000
    turns = 120 * time + 6 * np.sin(2 * np.pi * 2.5 * time)
    wave = np.zeros(len(time))
    for harmonic in range(1, 28):
        near = sum(1 / (1 + ((harmonic * 120 - hertz) / 200) ** 2) for hertz in (600, 1200, 2500))
        wave += near * np.sin(2 * np.pi * harmonic * turns)
    wave *= 32768 * 10 ** (level / 20) / np.sqrt((wave**2).mean())
    wave *= 10 ** (-2 * ((time // 0.25) * 7 % 5) / 20)
    wave[(time % 0.25 > 0.2) & (time < seconds - 0.05)] *= 0.01
    return wave.astype(np.int16)


def words(count: int, seconds: float, pause: float) -> Samples:
    return np.concatenate([part for _ in range(count) for part in (voice(seconds), silence(pause))])


def listen(
    samples: Samples, rules: MachineRules = DEFAULT, *, start: int = 0, piece: int = 800
) -> tuple[MachineDetector, list[Finding]]:
    """Let a detector hear it, and then silence for as long as it wants; piece by piece."""
    detector = MachineDetector(rules, start)
    found: list[Finding] = []
    quiet = silence(40.0)
    for at in range(0, len(samples) + len(quiet), piece):
        if detector.done_at is not None:
            break
        more = samples[at : at + piece]
        found += detector.feed(np.concatenate([more, quiet[: piece - len(more)]]))
        found += detector.elapse(start + at + piece)
    return detector, found


def seconds(position: int | None) -> float:
    assert position is not None
    return position / 8000


def test_a_word_and_a_silence_are_a_person() -> None:
    detector, found = listen(np.concatenate([silence(1.0), voice(0.6)]))
    assert detector.verdict is Verdict.HUMAN
    assert [finding.event for finding in found] == [Event.HUMAN]
    assert seconds(detector.done_at) == pytest.approx(2.6, abs=0.1)


def test_the_silence_that_ends_it_is_as_long_as_asked_for() -> None:
    rules = MachineRules(end_silence_timeout=0.4)
    detector, _ = listen(np.concatenate([silence(1.0), voice(0.6)]), rules)
    assert seconds(detector.done_at) == pytest.approx(2.0, abs=0.1)


def test_who_talks_for_long_is_a_machine_at_that_moment() -> None:
    detector, found = listen(np.concatenate([silence(1.0), voice(6.0)]))
    assert detector.verdict is Verdict.MACHINE
    assert [finding.event for finding in found] == [Event.MACHINE]
    assert seconds(detector.done_at) == pytest.approx(2.25, abs=0.1)


def test_pauses_are_no_voice() -> None:
    samples = np.concatenate([silence(0.5), words(3, 0.35, 0.5)])
    assert listen(samples)[0].verdict is Verdict.HUMAN


def test_so_are_many_words() -> None:
    rules = MachineRules(machine_voice_threshold=0.0, machine_words_threshold=4)
    detector, _ = listen(np.concatenate([silence(1.0), words(8, 0.2, 0.2)]), rules)
    assert detector.verdict is Verdict.MACHINE
    assert seconds(detector.done_at) == pytest.approx(2.3, abs=0.1)
    fewer = np.concatenate([silence(1.0), words(3, 0.2, 0.2)])
    assert listen(fewer, rules)[0].verdict is Verdict.HUMAN


def test_the_threshold_of_voice_is_as_long_as_asked_for() -> None:
    rules = MachineRules(machine_voice_threshold=3.0, machine_words_threshold=0)
    quiet = silence(0.5)
    assert listen(np.concatenate([quiet, voice(2.5)]), rules)[0].verdict is Verdict.HUMAN
    detector, _ = listen(np.concatenate([quiet, voice(6.0)]), rules)
    assert detector.verdict is Verdict.MACHINE
    assert seconds(detector.done_at) == pytest.approx(3.5, abs=0.1)


@pytest.mark.parametrize("timeout", [2.0, 4.5])
def test_silence_is_nobody_knows_who(timeout: float) -> None:
    detector, found = listen(silence(1.0), MachineRules(initial_timeout=timeout))
    assert detector.verdict is Verdict.UNKNOWN
    assert [finding.event for finding in found] == [Event.UNKNOWN]
    assert seconds(detector.done_at) == timeout


def test_a_click_is_no_word() -> None:
    samples = np.concatenate([silence(1.0), voice(0.03), silence(1.0)])
    assert listen(samples)[0].verdict is Verdict.UNKNOWN


def test_all_of_it_has_a_time_limit() -> None:
    rules = MachineRules(timeout=2.0, machine_voice_threshold=0.0, machine_words_threshold=0)
    detector, found = listen(np.concatenate([silence(0.5), voice(10.0)]), rules)
    assert detector.verdict is Verdict.UNKNOWN
    assert [finding.event for finding in found] == [Event.UNKNOWN]
    assert seconds(detector.done_at) == 2.0


def test_a_machine_is_heard_out_to_its_beep() -> None:
    samples = np.concatenate([silence(0.5), voice(5.0), silence(0.6), sine([1400], 0.4)])
    detector, found = listen(samples, TO_THE_END)
    assert [finding.event for finding in found] == [Event.MACHINE, Event.READY]
    assert [finding.beep for finding in found] == [False, True]
    assert detector.beep
    assert seconds(detector.done_at) == pytest.approx(6.5, abs=0.03)


def test_or_to_the_end_of_what_it_says() -> None:
    samples = np.concatenate([silence(0.5), voice(5.0)])
    detector, found = listen(samples, TO_THE_END)
    assert [finding.event for finding in found] == [Event.MACHINE, Event.READY]
    assert not detector.beep
    assert seconds(detector.done_at) == pytest.approx(6.5, abs=0.1)
    detector, _ = listen(samples, replace(TO_THE_END, machine_ready_timeout=3.0))
    assert seconds(detector.done_at) == pytest.approx(8.5, abs=0.1)


def test_a_beep_that_sounds_when_the_silence_is_long_enough_is_waited_for() -> None:
    samples = np.concatenate([silence(0.5), voice(5.0), silence(0.9), sine([1000], 0.8)])
    detector, _ = listen(samples, TO_THE_END)
    assert detector.beep
    assert seconds(detector.done_at) == pytest.approx(7.2, abs=0.03)


def test_a_machine_that_talks_again_is_not_ready_until_it_beeps() -> None:
    greeting = (voice(3.0), silence(2.0), voice(2.0), silence(0.5), sine([1400], 0.4))
    samples = np.concatenate([silence(0.5), *greeting])
    rules = MachineRules(detect_message_end=True, detect_interruptions=True)
    detector, found = listen(samples, rules)
    assert [finding.event for finding in found] == [
        Event.MACHINE,
        Event.READY,
        Event.NOT_READY,
        Event.READY,
    ]
    assert detector.beep


def test_a_beep_by_itself_is_a_machine() -> None:
    detector, found = listen(np.concatenate([silence(1.0), sine([1400], 0.4)]))
    assert detector.verdict is Verdict.MACHINE
    assert found == [Finding(Event.MACHINE, found[0].position, beep=True)]


@pytest.mark.parametrize("country", ["us", "gb", "de", "jp", "in", "th"])
def test_a_ringing_tone_is_nobody(country: str) -> None:
    samples = np.concatenate([silence(0.5), ring(country), ring(country)])
    assert listen(samples)[0].verdict is Verdict.UNKNOWN


def test_the_answering_fax_is_heard_beside_the_rest() -> None:
    samples = np.concatenate([silence(1.8), sine([2100], 3.0)])
    detector, found = listen(samples)
    assert detector.verdict is Verdict.FAX
    assert [finding.event for finding in found] == [Event.CED]
    assert seconds(detector.done_at) < 2.5


def test_the_calling_fax_is_heard_if_asked_for() -> None:
    samples = np.concatenate([silence(1.0), sine([1100], 0.5), silence(3.0), sine([1100], 0.5)])
    detector, found = listen(samples, MachineRules(fax=FaxTone.CNG))
    assert detector.verdict is Verdict.FAX
    assert [finding.event for finding in found] == [Event.CNG]
    assert listen(samples)[0].verdict is Verdict.UNKNOWN


def test_for_a_fax_alone_a_voice_is_nothing() -> None:
    rules = MachineRules(amd=False, timeout=3.0)
    detector, found = listen(voice(6.0), rules)
    assert detector.verdict is Verdict.UNKNOWN
    assert found == []
    assert seconds(detector.done_at) == 3.0


def test_without_fax_its_tone_is_nothing() -> None:
    samples = np.concatenate([silence(1.8), sine([2100], 3.0)])
    assert listen(samples, MachineRules(fax=None))[0].verdict is Verdict.UNKNOWN


BEEPS = {
    "two tones": sine([1000, 1500], 0.4),
    "a tenth of a second": sine([1400], 0.13),
    "two seconds": sine([1400], 2.0),
    "soft": sine([900], 0.4, level_dbov=-35),
    "wavering": (
        5000 * np.sin(np.cumsum(2 * np.pi * (1500 + 12 * np.sin(np.arange(4000) / 300)) / 8000))
    ).astype(np.int16),
}


@pytest.mark.parametrize("kind", BEEPS)
def test_beeps_are_of_many_kinds(kind: str) -> None:
    beep = BEEPS[kind]
    samples = np.concatenate([silence(0.5), voice(3.0), silence(0.6), beep])
    detector, _ = listen(samples, TO_THE_END)
    assert detector.beep
    assert seconds(detector.done_at) == pytest.approx(len(samples) / 8000, abs=0.03)


@pytest.mark.parametrize("key", ["1", "5", "#"])
def test_a_key_is_no_beep(key: str) -> None:
    samples = np.concatenate([silence(0.5), voice(3.0), silence(0.6), dtmf(key, 0.4)])
    assert not listen(samples, TO_THE_END)[0].beep


def test_a_beep_lasts_as_long_as_its_own_tone_whatever_else_is_heard() -> None:
    beep = sine([1200], 0.8, level_dbov=-20)
    beep[2400:3200] += voice(0.1, level=-24)
    samples = np.concatenate([silence(0.5), voice(3.0), silence(0.6), beep])
    detector, _ = listen(samples, TO_THE_END)
    assert detector.beep
    assert seconds(detector.done_at) == pytest.approx(4.9, abs=0.03)


def test_words_too_soft_for_a_voice_in_noise_are_no_silence() -> None:
    rng = np.random.default_rng(2)
    soft = voice(1.4, level=-31)
    parts = (silence(0.5), voice(3.0), silence(0.3), soft, silence(0.6), sine([1400], 0.4))
    line = np.concatenate([*parts, silence(4.0)])
    line = (line + rng.normal(0, 32768 * 10 ** (-34 / 20), len(line))).astype(np.int16)
    detector, _ = listen(line, replace(TO_THE_END, machine_ready_timeout=1.5))
    assert detector.beep
    assert seconds(detector.done_at) == pytest.approx(6.2, abs=0.05)


def test_what_is_audible_for_ever_holds_it_off_for_some_seconds_only() -> None:
    rng = np.random.default_rng(2)
    swell = 1 + np.sin(2 * np.pi * 1.5 * np.arange(8000 * 12) / 8000) ** 3
    people = np.concatenate([np.zeros(8000 * 4), 300 * swell * rng.normal(0, 1, 8000 * 12)])
    line = np.concatenate([silence(0.5), voice(3.0), silence(12.5)]) + people
    detector, found = listen(line.astype(np.int16), replace(TO_THE_END, timeout=60.0))
    assert [finding.event for finding in found] == [Event.MACHINE, Event.READY]
    assert seconds(detector.done_at) <= 9.0


@pytest.mark.parametrize("rules", [DEFAULT, TO_THE_END])
def test_however_the_line_is_cut_the_same_is_found_out(rules: MachineRules) -> None:
    samples = np.concatenate([silence(0.7), voice(2.0), silence(0.6), sine([900], 0.3)])
    whole = listen(samples, rules, piece=80_000)[1]
    for piece in (160, 333, 800, 2111):
        assert listen(samples, rules, piece=piece)[1] == whole


def test_positions_are_those_of_the_line() -> None:
    samples = np.concatenate([silence(1.0), voice(0.6)])
    first = listen(samples)[0].done_at
    later = listen(samples, start=123_456)[0].done_at
    assert first is not None
    assert later == first + 123_456


def test_time_passes_where_nothing_is_received() -> None:
    detector = MachineDetector(DEFAULT, 0)
    assert detector.feed(np.concatenate([silence(1.0), voice(0.6)])) == []
    assert detector.elapse(round(2.0 * 8000)) == []
    (finding,) = detector.elapse(round(2.8 * 8000))
    assert finding.event is Event.HUMAN
    assert seconds(finding.position) == pytest.approx(2.6, abs=0.1)


@pytest.mark.parametrize(
    ("last", "events"),
    [
        (sine([1400], 0.4), [Event.MACHINE, Event.READY]),
        (voice(0.6), [Event.HUMAN]),
        (voice(0.06), [Event.UNKNOWN]),
    ],
)
def test_what_a_far_end_said_before_it_sent_no_more_is_over(
    last: Samples, events: list[Event]
) -> None:
    detector = MachineDetector(TO_THE_END, 0)
    found = detector.feed(np.concatenate([silence(1.0), last]))
    for turn in range(10, 80):
        found += detector.elapse(800 * turn)
    assert [finding.event for finding in found] == events


def greeting(paths: list[Path], rng: np.random.Generator, length: float) -> Samples:
    """Return recorded prompts, one after the other with pauses, of some `length` in seconds."""
    parts: list[Samples] = []
    while sum(map(len, parts)) < length * 8000:
        parts += [read_wav(paths[rng.integers(len(paths))]), silence(rng.uniform(0.1, 0.4))]
    return np.concatenate(parts)


def noisy(samples: Samples, rng: np.random.Generator, db: float) -> Samples:
    """Return samples in hiss so many dB below them, which goes on for some seconds after."""
    wave = np.concatenate([silence(0.5), samples, silence(4.0)]).astype(np.float64)
    loud = wave[np.abs(wave) > 300]
    return (wave + rng.normal(0, loud.std() * 10 ** (-db / 20), len(wave))).astype(np.int16)


@pytest.mark.interop("speech")
@pytest.mark.parametrize("db", [40.0, 20.0])
def test_recorded_voices_are_told_apart(speech_files: tuple[Path, ...], db: float) -> None:
    rng = np.random.default_rng(3)
    short, talk = choose(speech_files, 1.0, 1.1)[:20], choose(speech_files, 2.0, 6.0)
    people = [listen(noisy(read_wav(path), rng, db), piece=1600)[0].verdict for path in short]
    assert people.count(Verdict.HUMAN) >= 0.9 * len(people), people
    for hertz in (850, 1000, 1400, 2000):
        samples = np.concatenate([greeting(talk, rng, 5.0), silence(0.3), sine([hertz], 0.5)])
        detector, _ = listen(
            noisy(samples, rng, db), replace(TO_THE_END, machine_ready_timeout=2.0), piece=1600
        )
        assert detector.verdict is Verdict.MACHINE
        assert detector.beep
