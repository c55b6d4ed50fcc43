"""What `play` names, as samples: files, addresses, speech, `silence:` and `ring:` (contract A8)."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..audio.tones import ring, silence
from ..errors import PeerError
from ..swml.actions import FileAudio, Ringing, Silence, Source, Speech, WebAudio
from .ports import Fetcher, SpeechEngine

MAX_CLIP_BYTES: Final = 64 << 20
"""Bytes of a file that is fetched to be played."""

FETCH_TIMEOUT: Final = 15.0
"""Seconds in which it must have arrived."""

CACHED: Final = 64
"""Files kept decoded; the least recently played makes room."""

SILENCE: Final = 12.0
"""Seconds of silence that all share; whole packets, however long these are."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Samples that are played over and over, until `length` of them have been."""

    samples: NDArray[np.int16]
    length: float
    """Samples in all; infinite: until somebody stops it."""


class Clips:
    """Turns what is to be played into samples; decoded files are kept for a while."""

    def __init__(
        self,
        fetcher: Fetcher,
        own_file: Callable[[str], Path | None],
        speech: SpeechEngine | None = None,
    ) -> None:
        """`own_file` returns the path behind a download address of this very server, or None."""
        self._fetcher = fetcher
        self._own_file = own_file
        self._speech = speech
        self._files: dict[tuple[str, int], tuple[tuple[int, int], NDArray[np.int16]]] = {}
        self._lock = threading.Lock()
        """Held while `_files` is looked into: files are decoded on several threads at once."""

    async def load(self, source: Source, rate: int) -> Clip:
        """Return a source at `rate`; PeerError or LocalError with a sentence if that cannot be."""
        match source:
            case Silence(seconds):
                return Clip(_silence(rate), round(seconds * rate))
            case Ringing(country, seconds):
                cycle = _ringing(country, rate)
                if seconds is None:
                    return Clip(cycle, cycle.size)
                return Clip(cycle, round(seconds * rate) if math.isfinite(seconds) else seconds)
            case Speech(text, speaker):
                if self._speech is None:
                    message = "no speech engine is configured: speech.engine could be espeak-ng"
                    raise PeerError(501, message)
                return _once(await self._speech.speak(text, speaker, rate))
            case WebAudio(url):
                return _once(await self._from_web(url, rate))
            case FileAudio(path):
                return _once(await asyncio.to_thread(self._from_file, path, rate))

    async def _from_web(self, url: str, rate: int) -> NDArray[np.int16]:
        own = await asyncio.to_thread(self._own_file, url)
        if own is not None:
            return await asyncio.to_thread(self._from_file, str(own), rate)
        fetched = await self._fetcher.get(url, max_bytes=MAX_CLIP_BYTES, timeout=FETCH_TIMEOUT)
        return await asyncio.to_thread(_decode, fetched.body, rate)

    def _from_file(self, name: str, rate: int) -> NDArray[np.int16]:
        try:
            status = Path(name).stat()
        except OSError as error:
            raise PeerError(404, f"cannot play {name}: {error.strerror}") from None
        mark = (status.st_mtime_ns, status.st_size)
        with self._lock:
            known = self._files.get((name, rate))
        if known is None or known[0] != mark:
            known = (mark, _decode(Path(name), rate))
        with self._lock:
            self._files.pop((name, rate), None)
            self._files[name, rate] = known
            while len(self._files) > CACHED:
                self._files.pop(next(iter(self._files)))
        return known[1]


def amplify(samples: NDArray[np.int16], decibels: float) -> NDArray[np.int16]:
    """Return samples louder or softer by `decibels`, cut off at full scale."""
    if decibels == 0:
        return samples
    louder: NDArray[np.int16] = _gain(decibels).take(samples.view(np.uint16))
    return louder


@lru_cache(maxsize=32)
def _gain(decibels: float) -> NDArray[np.int16]:
    """Return what every sample becomes, by its bits as an unsigned number."""
    every = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
    louder: NDArray[np.float64] = np.rint(every * 10 ** (decibels / 20))
    table: NDArray[np.int16] = np.clip(louder, -32768, 32767).astype(np.int16)
    return table


@lru_cache(maxsize=4)
def _silence(rate: int) -> NDArray[np.int16]:
    return silence(SILENCE, rate)


@lru_cache(maxsize=64)
def _ringing(country: str, rate: int) -> NDArray[np.int16]:
    """Return one cycle of a country's ringing tone. All calls share it, and its encodings."""
    return ring(country, None, rate)


def _once(samples: NDArray[np.int16]) -> Clip:
    return Clip(samples, samples.size)


def _decode(source: Path | bytes, rate: int) -> NDArray[np.int16]:
    # The decoders are 20 MB that a server which only records never needs.
    from ..audio.clip import decode_clip

    return decode_clip(source, rate)
