"""Clips: what is decoded, what is refused, and what is never opened."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.audio.clip import decode_clip
from mediaserver.errors import PeerError


def _tone(hertz: float, rate: int, seconds: float = 1.0) -> NDArray[np.int16]:
    time = np.arange(round(seconds * rate)) / rate
    return np.asarray(10_000 * np.sin(2 * np.pi * hertz * time), np.int16)


def _file(
    samples: NDArray[np.int16], rate: int, form: str, codec: str, layout: str = "mono"
) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.bit_rate = 128_000
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _level(samples: NDArray[np.int16]) -> float:
    """Return dB relative to the tone that went in, without its ends."""
    return float(20 * np.log10(max(samples[800:-800].std(), 1e-3) / (10_000 / np.sqrt(2))))


def test_a_clip_in_the_lines_own_form_comes_back_bit_for_bit(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(-32768, 32768, 12345).astype(np.int16)
    data = _file(noise, 8000, "wav", "pcm_s16le")
    (tmp_path / "clip.wav").write_bytes(data)
    for source in (data, tmp_path / "clip.wav", str(tmp_path / "clip.wav")):
        assert np.array_equal(decode_clip(source), noise)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_resampling_keeps_length_and_level_and_folds_nothing_back(rate: int) -> None:
    heard = decode_clip(_file(_tone(1000, rate), rate, "wav", "pcm_s16le"))
    assert len(heard) == 8000
    assert abs(_level(heard)) < 0.01
    above = decode_clip(_file(_tone(5500, rate), rate, "wav", "pcm_s16le"))
    assert _level(above) < -70


@pytest.mark.parametrize(
    ("form", "codec"), [("mp3", "libmp3lame"), ("ogg", "libopus"), ("flac", "flac")]
)
def test_compressed_clips_are_decoded(form: str, codec: str) -> None:
    heard = decode_clip(_file(_tone(1000, 48000, 2.0), 48000, form, codec))
    assert len(heard) == pytest.approx(16000, abs=160)
    assert abs(_level(heard)) < 0.5
    assert np.abs(np.fft.rfft(heard[4000:12000])).argmax() == 1000


def test_stereo_becomes_mono() -> None:
    both = np.repeat(_tone(1000, 8000), 2)
    heard = decode_clip(_file(both, 8000, "wav", "pcm_s16le", "stereo"))
    assert np.abs(heard.astype(int) - _tone(1000, 8000)).max() <= 1


@pytest.mark.parametrize(
    "junk",
    [
        b"Dear caller, nobody is here.\n" * 100,
        b"\0" * 4096,
        b"RIFF\0\0\0\0WAVEfmt ",
        b'{"json": true}',
        b"\xff\xfb" * 1000,
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 5004 RTP/AVP 0\r\n",
    ],
)
def test_what_is_not_audio_is_refused_in_one_sentence(junk: bytes) -> None:
    with pytest.raises(PeerError) as caught:
        decode_clip(junk)
    assert caught.value.status == 415
    assert caught.value.reason == "the clip is not audio that can be decoded"


def test_a_playlist_opens_nothing(tmp_path: Path) -> None:
    """Robustness S14: FFmpeg would fetch what a playlist names."""
    (tmp_path / "clip.wav").write_bytes(_file(_tone(1000, 8000), 8000, "wav", "pcm_s16le"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        for name in (f"http://127.0.0.1:{port}/a.ts", f"file:{tmp_path}/clip.wav"):
            text = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{name}\n#EXT-X-ENDLIST\n"
            (tmp_path / "list.m3u8").write_text(text)
            for source in (text.encode(), tmp_path / "list.m3u8"):
                with pytest.raises(PeerError):
                    decode_clip(source)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("name", ["nowhere.wav", "http://127.0.0.1:9/x.wav", "a\0b", "/dev/zero"])
def test_a_path_that_is_no_file_is_not_found(name: str) -> None:
    with pytest.raises(PeerError) as caught:
        decode_clip(name)
    assert caught.value.status == 404


def test_limits_of_bytes_and_seconds() -> None:
    data = _file(_tone(1000, 8000, 2.0), 8000, "wav", "pcm_s16le")
    assert len(decode_clip(data, max_seconds=2.0)) == 16000
    for max_seconds, max_bytes in ((1.9, 1_000_000), (2.0, 1000)):
        with pytest.raises(PeerError) as caught:
            decode_clip(data, max_seconds=max_seconds, max_bytes=max_bytes)
        assert caught.value.status == 413


def test_a_clip_without_a_sample_is_refused() -> None:
    data = _file(_tone(1000, 8000), 8000, "wav", "pcm_s16le")
    for empty in (b"", data[:78]):
        with pytest.raises(PeerError) as caught:
            decode_clip(empty)
        assert caught.value.status == 415


def test_a_clip_cut_short_gives_what_is_there() -> None:
    data = _file(_tone(1000, 8000), 8000, "wav", "pcm_s16le")
    heard = decode_clip(data[: len(data) // 2])
    assert 3900 <= len(heard) <= 4000
