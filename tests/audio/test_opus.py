"""Opus carries speech, its packets say how long they are, and junk is told from packets."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from farend.waveform import read_wav
from mediaserver.audio import opus
from mediaserver.audio.opus import CLOCK, LARGEST, LOOKAHEAD, OpusDecoder, OpusEncoder
from mediaserver.audio.resample import SPAN, Upsampler

Samples = NDArray[np.int16]


def _speech(files: tuple[Path, ...], rate: int = 8000) -> Samples:
    """Return 4.8 seconds of prompts."""
    samples = np.concatenate([read_wav(file) for file in files[:12]])[:38_400].astype(np.int16)
    return Upsampler(rate // 8000).feed(samples)


def _packets(samples: Samples, encoder: OpusEncoder) -> list[bytes]:
    return [encoder.encode(frame) for frame in samples.reshape(-1, encoder.frame)]


def _decoded(packets: list[bytes], rate: int) -> Samples:
    decoder = OpusDecoder(rate)
    return np.concatenate([decoder.decode(packet) for packet in packets]).astype(np.int16)


def _delay(rate: int) -> int:
    """Return how many samples at `rate` late the decoder is, as the module says."""
    return LOOKAHEAD * rate // CLOCK + (SPAN // 2 if rate < CLOCK else 0)


def _likeness(given: Samples, got: Samples, delay: int) -> float:
    late = got[delay:].astype(np.float64)
    return float(np.corrcoef(given[: late.size].astype(np.float64), late)[0, 1])


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 48_000])
def test_speech_comes_out_as_late_as_is_said_and_like_itself(
    rate: int, speech_files: tuple[Path, ...]
) -> None:
    given = _speech(speech_files, rate)
    got = _decoded(_packets(given, OpusEncoder(rate)), rate)
    assert got.size == given.size
    delay = _delay(rate)
    best = max(range(delay - 20, delay + 20), key=lambda late: _likeness(given, got, late))
    assert best == pytest.approx(delay, abs=rate // 8000)
    assert _likeness(given, got, delay) > 0.9


@pytest.mark.parametrize("ptime", opus.PTIMES)
def test_a_frame_of_each_length_is_one_packet(ptime: int, speech_files: tuple[Path, ...]) -> None:
    given = _speech(speech_files)
    encoder = OpusEncoder(ptime=ptime)
    packets = _packets(given, encoder)
    assert {opus.frame_duration(packet) for packet in packets} == {encoder.ticks}
    assert _likeness(given, _decoded(packets, 8000), _delay(8000)) > 0.93
    bit_rate = 8 * sum(map(len, packets)) / (given.size / 8000)
    assert 14_000 < bit_rate < 32_000


def test_twelve_kilohertz_are_taken_and_given() -> None:
    given = _tone(440, 12_000)
    got = _decoded(_packets(given, OpusEncoder(12_000)), 12_000)
    assert _likeness(given, got, _delay(12_000)) > 0.93


def _tone(hertz: int, rate: int) -> Samples:
    wave: NDArray[np.float64] = 9000 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)
    return np.rint(wave).astype(np.int16)


def test_what_one_rate_wrote_another_reads() -> None:
    packets = _packets(_tone(440, 48_000), OpusEncoder(48_000))
    got = _decoded(packets, 8000)[2000:].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(got * np.hanning(got.size)))
    assert np.argmax(spectrum) * 8000 / got.size == pytest.approx(440, abs=3)


def test_stereo_is_mixed_to_mono() -> None:
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.sample_rate, codec.layout, codec.format = CLOCK, "stereo", "s16"
    codec.open()
    both = np.stack([_tone(440, CLOCK), _tone(440, CLOCK)], axis=1).reshape(-1, 1920)
    packets = []
    for frame in both:
        given = av.AudioFrame.from_ndarray(frame.reshape(1, -1), format="s16", layout="stereo")
        given.sample_rate = CLOCK
        packets += [bytes(packet) for packet in codec.encode(given)]
    got = _decoded(packets, 8000)
    assert got.size == 160 * len(packets)
    assert np.abs(got[800:]).max() == pytest.approx(9000, rel=0.15)


def test_packets_of_up_to_120_ms_are_read() -> None:
    encoder = OpusEncoder(ptime=40)
    frames = [encoder.encode(frame) for frame in _tone(300, 8000)[:960].reshape(3, 320)]
    # Code 3, frames of lengths of their own (RFC 6716 section 3.2.5).
    bodies = [frame[1:] for frame in frames]
    lengths = bytes(len(body) for body in bodies[:2])
    assert all(len(body) < 252 for body in bodies)
    whole = bytes([frames[0][0] | 3, 0x80 | 3]) + lengths + b"".join(bodies)
    assert opus.frame_duration(whole) == opus.LONGEST
    assert OpusDecoder().decode(whole).size == 960


@pytest.mark.parametrize(
    ("config", "samples"),
    [
        *((0, 480), (1, 960), (2, 1920), (3, 2880), (11, 2880), (12, 480), (13, 960)),
        *((15, 960), (16, 120), (17, 240), (18, 480), (19, 960), (31, 960)),
    ],
)
def test_the_first_octet_says_how_long_a_frame_is(config: int, samples: int) -> None:
    toc = config << 3
    assert opus.frame_duration(bytes([toc])) == samples
    assert opus.frame_duration(bytes([toc | 1, 7, 7])) == 2 * samples
    assert opus.frame_duration(bytes([toc | 2, 1, 7])) == 2 * samples
    assert opus.frame_duration(bytes([toc | 3, 2, 7, 7])) == 2 * samples


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x01\x07",  # two frames of one length in one octet
        b"\x02",  # two frames without a length
        b"\x03",  # several frames, not said how many
        b"\x03\x00",  # no frame at all
        b"\x1b\x03\x00\x00\x00",  # three frames of 60 ms
        b"\x83\x31" + bytes(49),  # 49 frames of 2.5 ms
    ],
)
def test_what_begins_no_packet_is_refused(packet: bytes) -> None:
    with pytest.raises(ValueError, match="Opus"):
        opus.frame_duration(packet)
    with pytest.raises(ValueError, match="Opus"):
        OpusDecoder().decode(packet)


def test_a_packet_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        OpusDecoder().decode(b"\xfc" + bytes(LARGEST))


def test_junk_is_audio_or_an_error_and_harms_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(7)
    decoder = OpusDecoder()
    read = refused = 0
    for _ in range(1500):
        packet = rng.bytes(int(rng.integers(0, 90)))
        try:
            samples = decoder.decode(packet)
        except ValueError:
            refused += 1
        else:
            assert samples.dtype == np.int16
            assert samples.size == opus.frame_duration(packet) // 6
            read += 1
    assert read
    assert refused
    for packet in (OpusEncoder().encode(frame) for frame in _tone(440, 8000).reshape(-1, 160)):
        assert decoder.decode(packet).size == 160
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("rate", "ptime"), [(44_100, 20), (8000, 30), (8000, 140)])
def test_a_rate_or_frame_that_opus_has_not_is_refused(rate: int, ptime: int) -> None:
    with pytest.raises(ValueError, match="Opus"):
        OpusEncoder(rate, ptime)
    if rate not in opus.RATES:
        with pytest.raises(ValueError, match="Opus"):
            OpusDecoder(rate)


def test_half_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="160"):
        OpusEncoder().encode(np.zeros(80, np.int16))
