"""ITU-T G.722 at 64 kbit/s: 16 kHz in octets of two samples each, for one track of live audio."""

from __future__ import annotations

from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

RATE: Final = 16_000
"""Hz of the samples."""

FRAME: Final = RATE // 50
"""Samples that are coded at once: 20 ms."""


class G722Encoder:
    """Writes one track; what is returned is 22 samples behind what is given."""

    def __init__(self, frame: int = FRAME) -> None:
        """`frame` is the number of samples that are coded at once, an even one."""
        self._frame = frame
        self._codec = av.CodecContext.create("g722", "w")
        self._codec.options = {"frame_size": str(frame)}
        _open(self._codec)

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Return whole frames of samples, shape (n * frame,), as half as many octets."""
        out = bytearray()
        for frame in samples.reshape(-1, 1, self._frame):
            given = av.AudioFrame.from_ndarray(frame, format="s16", layout="mono")
            given.sample_rate = RATE
            for packet in self._codec.encode(given):
                out += bytes(packet)
        return bytes(out)


class G722Decoder:
    """Reads one track, in pieces of any length."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("g722", "r")
        _open(self._codec)

    def decode(self, data: bytes) -> NDArray[np.int16]:
        """Return two samples for each octet."""
        if not data:  # to the decoder that would be the end
            return np.zeros(0, np.int16)
        frames = self._codec.decode(av.Packet(data))
        return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.int16)


def _open(codec: av.AudioCodecContext) -> None:
    codec.sample_rate = RATE
    codec.layout = "mono"
    codec.format = "s16"
    codec.open()
