"""G.722 and Opus as telephones speak them, to the 8 kHz of a telephone line and back.

What is heard is had at 16 kHz, too: a recording keeps what the line has no room for.

Importing this module costs nothing; `load` loads FFmpeg, 30 MB that only such calls need. What is
given to an encoder is PCMU, for that is what lines send.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .g711 import decode_ulaw
from .resample import SPAN, Downsampler, Upsampler

RATE: Final = 8000
"""Hz of the line."""

_WIDER: Final = 2
"""Samples at 16 kHz for each of the line."""

LONGEST: Final = RATE * 120 // 1000
"""Samples that a packet may bring: 120 ms, which is Opus's limit too."""

_TEN: Final = RATE // 100
"""Samples of 10 ms: what packets of telephony are multiples of."""

_MOST_LOST: Final = 5
"""Packets that are made up for at most; by then the codec expects silence."""

_OPUS_FRAMES: Final = (60, 40, 20, 10)


def load() -> None:
    """Load what all of these need: once, and slow enough for another thread."""
    from . import g722, opus  # noqa: F401 - the library behind them is large


class _Halving:
    """16 kHz halved, and itself made as late as the filter makes that: both are in step."""

    def __init__(self) -> None:
        self._downsampler = Downsampler(_WIDER)
        self._held: NDArray[np.int16] = np.zeros(SPAN // 2 * _WIDER, np.int16)

    def feed(self, samples: NDArray[np.int16]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Return samples of the line, and twice as many at 16 kHz."""
        both = np.concatenate([self._held, samples])
        self._held = both[samples.size :]
        return self._downsampler.feed(samples), both[: samples.size]


class G722Decoder:
    """Reads one track of G.722, in packets of any length."""

    delay: Final = 11 + SPAN // 2
    """Samples by which what is decoded is behind what was encoded: of the codec, then of the
    filter that halves the rate."""

    def __init__(self) -> None:
        from .g722 import G722Decoder as Wide

        self._wide = Wide()
        self._halving = _Halving()

    def decode(self, payload: bytes) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Return a sample of the line for each octet, and two at 16 kHz, int16.

        ValueError for what no telephone sends.
        """
        if not 0 < len(payload) <= LONGEST:
            raise ValueError(f"a packet of G.722 has 1 to {LONGEST} octets, not {len(payload)}")
        return self._halving.feed(self._wide.decode(payload))

    def lose(self, packets: int) -> None:
        """Take no note of packets that were lost: what follows does not build on them."""


class OpusDecoder:
    """Reads one track of Opus; stereo is mixed to mono, frames may change in length."""

    delay: Final = 52 + SPAN // 2 // _WIDER + SPAN // 2
    """As above: 6.5 ms of the codec, the filter that makes 16 kHz of its 48, and that one."""

    def __init__(self) -> None:
        from .opus import OpusDecoder as Wide

        self._wide = Wide(RATE * _WIDER)
        self._halving = _Halving()
        self._lost = 0

    def decode(self, payload: bytes) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Return samples of the line, and twice as many at 16 kHz, int16.

        ValueError for what is no packet: the next one is read.
        """
        lost, self._lost = self._lost, 0
        for _ in range(lost):
            self._wide.conceal()
        return self._halving.feed(self._wide.decode(payload))

    def lose(self, packets: int) -> None:
        """Take note that packets were lost: they are made up for, and nobody hears that."""
        self._lost = min(packets, _MOST_LOST)


class G722Encoder:
    """Writes one track of G.722, a packet for each that is given."""

    def __init__(self) -> None:
        from .g722 import G722Encoder as Wide

        self._wide = Wide(2 * _TEN)
        self._upsampler = Upsampler(2)

    def encode(self, payload: bytes, *, begins: bool) -> list[tuple[bytes, int]]:
        """Return the packet for one of PCMU, and how many samples it holds.

        What is no multiple of 10 ms is filled up with silence. `begins` says that something was
        left out before it.
        """
        if begins:
            self._upsampler = Upsampler(2)
        samples = _filled(decode_ulaw(payload), _TEN)
        return [(self._wide.encode(self._upsampler.feed(samples)), samples.size)]


class OpusEncoder:
    """Writes one track of Opus, a packet a frame.

    Frames are as long as packets shall be, or as long as those that are given require.
    """

    def __init__(self, ptime: int) -> None:
        """`ptime` is in milliseconds, the longest a packet shall be."""
        from .opus import OpusEncoder as Wide

        self._make = Wide
        self._ptime = next((ms for ms in _OPUS_FRAMES if ms <= ptime), _OPUS_FRAMES[-1])
        self._wide = Wide(RATE, self._ptime)
        self._used = False

    def encode(self, payload: bytes, *, begins: bool) -> list[tuple[bytes, int]]:
        """Return the packets for one of PCMU, each with the samples it holds; see `G722Encoder`.

        Where packets become shorter the frames do, until something is left out.
        """
        samples = decode_ulaw(payload)
        if not samples.size % _TEN:
            longest = self._ptime if begins else self._wide.frame // (_TEN // 10)
            fitting = (ms for ms in _OPUS_FRAMES if ms <= longest)
            self._speak(next(ms for ms in fitting if not samples.size % (ms * _TEN // 10)))
        if begins and self._used:
            # What the codec holds back of before is not heard now.
            self._wide.encode(np.zeros(self._wide.frame, np.int16))
        self._used = True
        frames = _filled(samples, self._wide.frame).reshape(-1, self._wide.frame)
        return [(self._wide.encode(frame), frame.size) for frame in frames]

    def _speak(self, ptime: int) -> None:
        if self._wide.frame != ptime * _TEN // 10:
            self._wide = self._make(RATE, ptime)
            self._used = False


def _filled(samples: NDArray[np.int16], frame: int) -> NDArray[np.int16]:
    """Return samples with silence behind them, up to a whole number of frames."""
    missing = -samples.size % frame
    return np.concatenate([samples, np.zeros(missing, np.int16)]) if missing else samples
