"""What is played, encoded once for all legs that play it."""

from __future__ import annotations

import weakref
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..audio.g711 import encode_alaw, encode_ulaw
from ..rtp.timeline import Kind

_NOTHING: Final[NDArray[np.uint8]] = np.zeros(0, np.uint8)


class Encodings:
    """Keeps an encoding as long as its samples are in use. Samples must not change meanwhile."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, Kind], NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def known(self, samples: NDArray[np.int16], law: Kind) -> NDArray[np.uint8] | None:
        """Return the encoding if it was made before."""
        return self._kept.get((id(samples), law)) if samples.size else _NOTHING

    def make(self, samples: NDArray[np.int16], law: Kind) -> NDArray[np.uint8]:
        """Return the encoding, one byte a sample. Safe to call from another thread."""
        found = self.known(samples, law)
        if found is None:
            data = encode_alaw(samples) if law is Kind.ALAW else encode_ulaw(samples)
            found = np.frombuffer(data, np.uint8)
            key = (id(samples), law)
            self._kept[key] = found
            weakref.finalize(samples, self._kept.pop, key, None).atexit = False
        return found
