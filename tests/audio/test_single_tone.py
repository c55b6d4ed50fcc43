"""Single tones: their frequency, length and level, in noise and through G.711."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.waveform import read_wav
from mediaserver.audio.g711 import decode_ulaw, encode_ulaw
from mediaserver.audio.machine_beeps import Beeps, is_beep
from mediaserver.audio.single_tone import FaxTone, Tone, ToneTracker, fax_tone
from mediaserver.audio.tones import CADENCES, DTMF_HZ, dtmf, ring, silence, sine

Samples = NDArray[np.int16]

SIT = (985.2, 1428.5, 1776.7)


def line(*parts: Samples, snr: float | None = None, level: float = -16.0) -> Samples:
    """Return parts with a second of silence around them, as G.711 leaves them."""
    samples = np.concatenate([silence(1.0), *parts, silence(1.0)]).astype(np.float64)
    if snr is not None:
        noise = 32768 * 10 ** ((level - snr) / 20)
        samples += np.random.default_rng(1).normal(0, noise, len(samples))
    return decode_ulaw(encode_ulaw(np.clip(samples, -32768, 32767).astype(np.int16)))


def tones(samples: Samples, *, piece: int = 640) -> list[Tone]:
    """Return every tone of a line that is looked at piece by piece."""
    tracker = ToneTracker()
    found = []
    for at in range(0, len(samples) // 80 * 80, piece):
        found += tracker.listen(samples[at : at + piece])
    return found


def beeps(samples: Samples, *, spoken: bool = True) -> list[Tone]:
    """Return the tones that are taken for a beep."""
    tracker, teller, found = ToneTracker(), Beeps(8000), []
    for at in range(0, len(samples) // 640 * 640, 640):
        ended = tracker.listen(samples[at : at + 640])
        beep = teller.take(ended, tracker.current, at + 640, spoken=spoken)
        if beep is not None:
            found.append(beep)
    return found


@pytest.mark.parametrize("snr", [None, 10.0, 4.0])
@pytest.mark.parametrize("hertz", [400.0, 440.0, 850.0, 1000.0, 1400.0, 2100.0, 2600.0])
def test_a_tone_is_told_by_frequency_place_and_level(hertz: float, snr: float | None) -> None:
    found = tones(line(sine([hertz], 0.3), snr=snr))
    assert len(found) == 1
    tone = found[0]
    assert tone.hertz == pytest.approx(hertz, abs=2.0)
    assert tone.begin == pytest.approx(8000, abs=160)
    assert tone.end == pytest.approx(8000 + 2400, abs=160)
    assert tone.dbov == pytest.approx(-16.0, abs=0.5)
    assert is_beep(tone)


def test_however_the_line_is_cut_the_same_tones_are_found() -> None:
    samples = line(sine([700], 0.2), silence(0.3), sine([2000], 0.5), snr=10)
    whole = tones(samples, piece=len(samples))
    assert len(whole) == 2
    assert tones(samples, piece=80) == tones(samples, piece=720) == whole


def test_a_lost_packet_does_not_end_a_tone() -> None:
    tone = sine([1000], 0.4)
    tone[1600:1760] = 0
    assert [round(t.seconds(8000), 1) for t in tones(line(tone))] == [0.4]


def test_a_soft_tone_is_none() -> None:
    assert tones(line(sine([1000], 0.5, level_dbov=-50.0))) == []


@pytest.mark.parametrize("seconds", [0.12, 0.15, 0.5, 1.5, 2.4])
@pytest.mark.parametrize("hertz", [520.0, 1000.0, 1400.0, 2600.0])
def test_beeps_of_many_kinds_are_heard(hertz: float, seconds: float) -> None:
    assert len(beeps(line(sine([hertz], seconds, level_dbov=-30.0)), spoken=False)) == 1


def test_a_beep_where_networks_have_their_tones_follows_a_voice() -> None:
    assert len(beeps(line(sine([440], 0.4)))) == 1
    assert beeps(line(sine([440], 0.4)), spoken=False) == []


@pytest.mark.parametrize("seconds", [0.05, 0.09, 3.0])
def test_what_is_too_short_or_too_long_is_no_beep(seconds: float) -> None:
    assert beeps(line(sine([1000], seconds))) == []


@pytest.mark.parametrize("country", sorted(CADENCES))
def test_a_ringing_tone_is_no_beep(country: str) -> None:
    assert beeps(line(ring(country), ring(country))) == []


@pytest.mark.parametrize(("on", "off"), [(0.5, 0.5), (0.25, 0.25), (0.2, 0.2), (0.375, 0.375)])
def test_a_busy_tone_is_no_beep(on: float, off: float) -> None:
    assert beeps(line(*[sine([425], on), silence(off)] * 6)) == []


def test_special_information_tones_are_no_beep() -> None:
    for gap in (0.0, 0.03):
        parts = [part for hertz in SIT for part in (sine([hertz], 0.33), silence(gap))]
        assert beeps(line(*parts)) == []


@pytest.mark.parametrize("key", sorted(DTMF_HZ))
def test_a_key_is_no_beep(key: str) -> None:
    assert beeps(line(dtmf(key, 0.3, 8000))) == []


def test_a_beep_that_noise_parts_is_one() -> None:
    tone = sine([1000], 0.8)
    tone[2400:2960] = 0
    (beep,) = beeps(line(tone))
    assert beep.end - beep.begin == pytest.approx(6400, abs=160)


def test_another_tone_after_a_pause_is_another_beep() -> None:
    one, other = sine([1000], 0.4), sine([700], 0.3)
    assert len(beeps(line(one, silence(0.2), other))) == 2


def test_a_melody_is_no_beep() -> None:
    notes = [523.3, 587.3, 659.3, 698.5, 784.0, 659.3, 523.3, 880.0]
    assert beeps(line(*[sine([hertz], 0.25) for hertz in notes])) == []


def test_a_bell_that_dies_away_is_no_beep() -> None:
    bell = sine([880], 1.0).astype(np.float64) * np.exp(-np.arange(8000) / 2000)
    assert beeps(line(bell.astype(np.int16))) == []


@pytest.mark.interop("speech")
def test_a_voice_has_no_beeps(speech_files: tuple[Path, ...]) -> None:
    samples = np.concatenate([read_wav(path) for path in speech_files[::4]])
    assert len(samples) > 4 * 60 * 8000
    assert beeps(samples) == []


def answering_fax(seconds: float, *, reversals: bool, modulated: bool) -> Samples:
    """Return CED, or ANSam of V.8."""
    time = np.arange(round(seconds * 8000)) / 8000
    turned = np.floor(time / 0.45) % 2 if reversals else 0.0
    swing = 1 + 0.2 * np.sin(2 * np.pi * 15 * time) if modulated else 1.0
    wave = 4000 * swing * np.sin(2 * np.pi * 2100 * time + np.pi * turned)
    return wave.astype(np.int16)


@pytest.mark.parametrize("reversals", [False, True])
@pytest.mark.parametrize("modulated", [False, True])
def test_the_answering_fax_is_heard_while_it_sounds(reversals: bool, modulated: bool) -> None:
    samples = line(answering_fax(3.0, reversals=reversals, modulated=modulated), snr=20)
    tracker = ToneTracker()
    for at in range(0, len(samples) // 80 * 80, 80):
        tracker.listen(samples[at : at + 80])
        tone = tracker.current
        if tone is not None and fax_tone(tone, FaxTone.CED, ended=False):
            assert at < 8000 + 0.6 * 8000
            return
    raise AssertionError("not heard")


def test_a_short_tone_of_that_frequency_is_a_beep_and_no_fax() -> None:
    (tone,) = tones(line(sine([2100], 0.3)))
    assert is_beep(tone)
    assert not fax_tone(tone, FaxTone.CED)


@pytest.mark.parametrize(
    ("hertz", "seconds", "is_fax"),
    [
        (1100, 0.5, True), (1070, 0.43, True), (1130, 0.57, True),
        (1100, 0.3, False), (1100, 1.0, False), (1000, 0.5, False), (1200, 0.5, False),
    ],
)  # fmt: skip
def test_the_calling_fax_is_told_by_frequency_and_length(
    hertz: float, seconds: float, is_fax: bool
) -> None:
    (tone,) = tones(line(sine([hertz], seconds), snr=15))
    assert fax_tone(tone, FaxTone.CNG) == is_fax
    assert not fax_tone(tone, FaxTone.CNG, ended=False)
