"""Live audio is written as it was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from mediaserver.audio import opus
from mediaserver.audio.g711 import encode_alaw, encode_ulaw
from mediaserver.audio.live_codec import FRAMES, Decoder, Encoder, LiveCodec, frame_of


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("PCMU", LiveCodec("PCMU")),
        ("pcma", LiveCodec("PCMA")),
        ("PCMU@8000h", LiveCodec("PCMU")),
        ("PCMA@40i", LiveCodec("PCMA", ptime=40)),
        ("L16", LiveCodec("L16")),
        ("G722", LiveCodec("G722", 16_000)),
        ("g722@16000h@60i", LiveCodec("G722", 16_000, 60)),
        ("L16@24000h@40i", LiveCodec("L16", 24_000, 40)),
        ("OPUS", LiveCodec("OPUS", 48_000)),
        ("OPUS@16000H@20I", LiveCodec("OPUS", 16_000)),
        ("opus@8000h@120i", LiveCodec("OPUS", 8000, 120)),
    ],
)
def test_a_codec_has_a_name_a_rate_and_a_frame(text: str, codec: LiveCodec) -> None:
    assert LiveCodec.parse(text) == codec


@pytest.mark.parametrize(
    "text",
    [
        *("", "GSM", "PCMU@16000h", "L16@44100h", "L16@16000", "PCMU@15i", "PCMU@130i", "X@"),
        *("G722@8000h", "G722@30i", "OPUS@44100h", "OPUS@30i"),
    ],
)
def test_what_is_not_made_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"codec|made|rate|frame"):
        LiveCodec.parse(text)


def test_a_frame_length_holds_where_the_name_says_none() -> None:
    assert LiveCodec.parse("PCMU", 60).ptime == 60
    assert LiveCodec.parse("PCMU@10i", 60).ptime == 10


def test_g711_is_the_samples_law_by_law() -> None:
    samples = np.arange(-32768, 32768, 16, dtype=np.int64).astype(np.int16)
    assert Encoder(LiveCodec("PCMU")).encode(samples) == encode_ulaw(samples)
    assert Encoder(LiveCodec("PCMA")).encode(samples) == encode_alaw(samples)


@pytest.mark.parametrize("name", ["PCMU", "PCMA", "L16"])
def test_what_was_written_is_read_again(name: str) -> None:
    codec = LiveCodec(name)
    samples = np.random.default_rng(1).integers(-9000, 9000, 480).astype(np.int16)
    once = Decoder(codec).decode(Encoder(codec).encode(samples))
    assert np.array_equal(Decoder(codec).decode(Encoder(codec).encode(once)), once)


def test_linear_samples_are_little_endian_at_the_rate_asked_for() -> None:
    frame = Encoder(LiveCodec("L16", 24_000)).encode(np.full(160, 1000, np.int16))
    assert len(frame) == 2 * 480
    assert np.frombuffer(frame, "<i2")[-1] == pytest.approx(1000, abs=5)


def test_a_piece_that_ends_amid_a_sample_goes_on_with_the_next() -> None:
    decoder = Decoder(LiveCodec("L16"))
    data = np.arange(100, dtype="<i2").tobytes()
    got = [decoder.decode(data[at : at + 7]) for at in range(0, len(data), 7)]
    assert np.concatenate(got).tolist() == list(range(100))


@pytest.mark.parametrize("ptime", [20, 60])
def test_g722_is_read_as_it_was_written_frame_by_frame_and_in_any_pieces(ptime: int) -> None:
    codec = LiveCodec("G722", 16_000, ptime)
    codec.load()
    encoder, decoder = Encoder(codec), Decoder(codec)
    at = np.arange(9600)
    given = np.rint(8000 * np.sin(2 * np.pi * 600 * at / 8000)).astype(np.int16)
    frames = [encoder.encode(frame) for frame in given.reshape(-1, 8 * ptime)]
    assert {len(frame) for frame in frames} == {8 * ptime}
    data = b"".join(frames)
    pieces = [decoder.decode(data[at : at + 333]) for at in range(0, len(data), 333)]
    got = np.concatenate([*pieces, decoder.decode(b"")])
    assert got.size == given.size
    behind = 11 + 32  # of the codec, and of the two filters
    error = got[behind + 80 :].astype(int) - given[80 : given.size - behind]
    assert np.abs(error).max() < 400


@pytest.mark.parametrize("ptime", [10, 20, 60, 120])
def test_a_frame_of_opus_is_one_packet_and_is_read_as_one(ptime: int) -> None:
    codec = LiveCodec.parse(f"OPUS@24000h@{ptime}i")
    codec.load()
    encoder, decoder = Encoder(codec), Decoder(codec)
    at = np.arange(9600)
    given = np.rint(8000 * np.sin(2 * np.pi * 600 * at / 8000)).astype(np.int16)
    packets = [encoder.encode(frame) for frame in given.reshape(-1, 8 * ptime)]
    assert [list(decoder.pieces(packet, 10)) for packet in packets] == [[p] for p in packets]
    heard = np.concatenate([decoder.decode(packet) for packet in packets])
    assert heard.size == given.size
    behind = 68  # the encoder's 6.5 ms, and a filter's 2
    likeness = np.corrcoef(given[: heard.size - behind], heard[behind:])[0, 1]
    assert likeness > 0.97
    with pytest.raises(ValueError, match="Opus"):
        decoder.decode(b"")


def test_every_rate_and_frame_of_opus_that_is_named_is_made() -> None:
    for rate in opus.RATES:
        assert LiveCodec.parse(f"OPUS@{rate}h").rate == rate
    for ptime in FRAMES:
        assert (frame_of("opus", ptime) == ptime) == (ptime in opus.PTIMES or ptime == 20)
    assert (frame_of("G722", 30), frame_of("PCMU", 30), frame_of("G729", 30)) == (20, 30, 20)
    assert frame_of("PCMU", None) == 20
