"""Headers of wavs that are sent without being written to a file first."""

from __future__ import annotations

import io
import struct
import wave

import av
import pytest

from mediaserver.recording.wav import RF64_FROM, wav_header


@pytest.mark.parametrize("samples", [0, 1, 12_345])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_known_length_is_read_by_the_standard_library(
    rate: int, channels: int, samples: int
) -> None:
    header = wav_header(rate, channels, samples)
    assert len(header) == 44
    with wave.open(io.BytesIO(header + bytes(2 * channels * samples))) as file:
        assert (file.getframerate(), file.getnchannels()) == (rate, channels)
        assert (file.getsampwidth(), file.getnframes()) == (2, samples)


def test_an_unknown_length_plays_to_the_end_of_what_comes() -> None:
    header = wav_header(8000, 1, None)
    assert struct.unpack_from("<I", header, 4) == struct.unpack_from("<I", header, 40)
    assert header[40:] == b"\xff\xff\xff\xff"
    with av.open(io.BytesIO(header + bytes(2 * 4321)), "r") as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == 4321


def test_what_riff_cannot_say_is_rf64() -> None:
    most = (RF64_FROM - 1) // 4
    plain, long = wav_header(8000, 2, most), wav_header(8000, 2, most + 1)
    assert plain[:4] == b"RIFF"
    assert struct.unpack_from("<I", plain, 4)[0] == 4 * most + 36
    assert long[:4] + long[8:16] == b"RF64WAVEds64"
    size, data, count, table = struct.unpack_from("<QQQI", long, 20)
    assert (data, count, table) == (4 * (most + 1), most + 1, 0)
    assert size == data + len(long) - 8
    assert long[-8:] == b"data\xff\xff\xff\xff"
    with av.open(io.BytesIO(long + bytes(4000)), "r") as container:
        assert container.streams.audio[0].channels == 2
        assert sum(frame.samples for frame in container.decode(audio=0)) == 1000
