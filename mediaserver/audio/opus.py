"""Opus (RFC 6716) for one mono track of live audio, as RTP carries it (RFC 7587).

Whatever rate the samples have, the RTP clock counts 48,000 a second. Importing this module loads
FFmpeg, 30 MB that only calls with Opus need: it is imported where the first codec is made.
"""

from __future__ import annotations

from typing import Final

import av
import av.logging
import numpy as np
from numpy.typing import NDArray

from .resample import Downsampler

CLOCK: Final = 48_000
"""Hz of the RTP clock, always (RFC 7587 section 4.1)."""

RATES: Final = (8000, 12_000, 16_000, 24_000, 48_000)
"""Hz that samples may have on the way in and out."""

PTIMES: Final = (10, 20, 40, 60, 80, 100, 120)
"""Milliseconds that a frame may have."""

LOOKAHEAD: Final = CLOCK * 13 // 2000
"""How far what is decoded is behind what was encoded, in samples at `CLOCK`: 6.5 ms.

To a lower rate, the filter adds what `audio.resample` says.
"""

LONGEST: Final = CLOCK * 120 // 1000
"""The longest packet, in samples at `CLOCK` (RFC 6716 section 3.2.5, R5)."""

LARGEST_FRAME: Final = 1275
"""Octets of one frame at most (RFC 6716 section 3.2.1)."""

LARGEST: Final = 48 * LARGEST_FRAME + 256
"""Octets of a packet that are looked at: 48 of the shortest frames, with room for their lengths."""

COMPLEXITY: Final = 2
"""How hard the encoder tries, 0 to 10.

Of recorded speech at 8 kHz, a frame of 20 ms costs 50 us at 0, 65 at 2, 90 at 4, 110 at 10, for
spectra that are off by 4.70, 4.67, 4.61 and 4.48 dB: nobody hears what the second half buys.
"""

_FRAME_OF_SILK: Final = (480, 960, 1920, 2880)
_FRAME_OF_HYBRID: Final = (480, 960)
_FRAME_OF_CELT: Final = (120, 240, 480, 960)

# To the caller, what a peer sent is wrong; FFmpeg would say so on stderr as well.
av.logging.set_level(None)


def frame_duration(packet: bytes) -> int:
    """Return how long the audio of a packet is, in samples at `CLOCK`.

    ValueError if its first octets cannot begin a packet (RFC 6716 sections 3.1 and 3.4).
    """
    if not packet:
        raise ValueError("an Opus packet has at least one octet")
    config = packet[0] >> 3
    if config < 12:
        frame = _FRAME_OF_SILK[config & 3]
    elif config < 16:
        frame = _FRAME_OF_HYBRID[config & 1]
    else:
        frame = _FRAME_OF_CELT[config & 3]
    duration = frame * _count(packet)
    if duration > LONGEST:
        raise ValueError(f"an Opus packet is at most 120 ms long, not {duration / 48:g}")
    return duration


def _count(packet: bytes) -> int:
    """Return the number of frames, as the code in the last two bits of the first octet says."""
    match packet[0] & 3:
        case 0:
            return 1
        case 1:
            if not len(packet) & 1:
                raise ValueError("two Opus frames of one length have an even number of octets")
            return 2
        case 2:
            if len(packet) < 2:
                raise ValueError("an Opus packet of two frames says how long the first is")
            return 2
        case _:
            count = packet[1] & 0x3F if len(packet) > 1 else 0
            if not count:
                raise ValueError("an Opus packet of several frames says how many they are")
            return count


class OpusEncoder:
    """Writes one track of speech, a packet a frame."""

    def __init__(
        self,
        rate: int = 8000,
        ptime: int = 20,
        *,
        bit_rate: int = 0,
        complexity: int = COMPLEXITY,
    ) -> None:
        """`rate` is of `RATES` and `ptime` of `PTIMES`, else ValueError.

        `bit_rate` is in bit/s, an average; 0 takes 24,000 up to 16 kHz and 32,000 above. Silence
        is sent as any other audio: FFmpeg knows no discontinuous transmission.
        """
        if rate not in RATES:
            raise ValueError(f"Opus takes samples at {_either(RATES)} Hz, not {rate}")
        if ptime not in PTIMES:
            raise ValueError(f"an Opus frame is {_either(PTIMES)} ms long, not {ptime}")
        self._rate = rate
        self.frame = rate * ptime // 1000
        """Samples that make one packet."""
        self.ticks = CLOCK * ptime // 1000
        """How far the RTP timestamp goes on with each packet."""
        codec = av.CodecContext.create("libopus", "w")
        codec.sample_rate = rate
        codec.layout = "mono"
        codec.format = "s16"
        codec.bit_rate = bit_rate or (24_000 if rate <= 16_000 else 32_000)
        codec.options = {
            "application": "voip",
            "frame_duration": str(ptime),
            "compression_level": str(complexity),
        }
        codec.open()
        self._codec = codec

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Return one frame of samples, shape (`frame`,), as a packet; ValueError for another."""
        if samples.shape != (self.frame,):
            raise ValueError(f"a frame has {self.frame} samples, not {samples.size}")
        given = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        given.sample_rate = self._rate
        (packet,) = self._codec.encode(given)
        return bytes(packet)


class OpusDecoder:
    """Reads one track, a packet at a time; stereo is mixed to mono."""

    def __init__(self, rate: int = 8000) -> None:
        """`rate` is of `RATES`, else ValueError."""
        if rate not in RATES:
            raise ValueError(f"Opus is read at {_either(RATES)} Hz, not {rate}")
        codec = av.CodecContext.create("libopus", "r")
        # FFmpeg decodes at 48 kHz, whatever rate it is told.
        codec.sample_rate = CLOCK
        codec.layout = "mono"
        codec.format = "s16"
        codec.open()
        self._codec = codec
        self._downsampler = Downsampler(CLOCK // rate)
        self._last = b""
        """First octets of the packet read last."""

    def decode(self, packet: bytes) -> NDArray[np.int16]:
        """Return the samples of one packet, shape (n,): `frame_duration` of it, at `rate`.

        ValueError for what is no packet; the next one is read all the same.
        """
        duration = frame_duration(packet)
        if len(packet) > LARGEST:
            raise ValueError(f"an Opus packet has at most {LARGEST} octets, not {len(packet)}")
        try:
            frames = self._codec.decode(av.Packet(packet))
        except av.error.FFmpegError as error:
            raise ValueError(f"no Opus packet: {error.strerror}") from error
        if sum(frame.samples for frame in frames) != duration:
            raise ValueError("no Opus packet: its first octet belies its length")
        self._last = packet[:2]
        pieces = [frame.to_ndarray()[0] for frame in frames]
        whole: NDArray[np.int16] = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return self._downsampler.feed(whole)

    def conceal(self) -> NDArray[np.int16]:
        """Return what may have been said in a packet that was lost, as long as the one before.

        Even if nobody wants to hear it: what a packet says of its loudness is said against the one
        before, and without that one a change of it is made twice (RFC 6716 section 4.4).
        """
        if not self._last:
            return np.zeros(0, np.int16)
        # A frame without a payload (RFC 6716 section 3.4, R4) says that it is missing.
        last, frame = self._last, bytes([self._last[0] & ~3])
        try:
            return np.concatenate([self.decode(frame) for _ in range(_count(last))])
        finally:
            self._last = last


def _either(numbers: tuple[int, ...]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} or {last}"
