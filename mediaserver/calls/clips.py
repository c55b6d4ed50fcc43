"""What `play` names, as samples: files, addresses, `silence:` and `ring:` (contract A8)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..audio.tones import ring, silence
from ..errors import PeerError
from .ports import Fetcher

MAX_CLIP_BYTES: Final = 64 << 20
"""Bytes of a file that is fetched to be played."""

FETCH_TIMEOUT: Final = 15.0
"""Seconds in which it must have arrived."""

MAX_SILENCE: Final = 3600.0
"""Seconds of `silence:` in one clip."""

CACHED: Final = 64
"""Files kept decoded; the least recently played makes room."""


class Clips:
    """Turns what a document asks to be played into samples; decoded files are kept for a while."""

    def __init__(self, fetcher: Fetcher, own_file: Callable[[str], Path | None]) -> None:
        """`own_file` returns the path behind a download address of this very server, or None."""
        self._fetcher = fetcher
        self._own_file = own_file
        self._files: dict[tuple[str, int], tuple[tuple[int, int], NDArray[np.int16]]] = {}
        self._lock = threading.Lock()
        """Held while `_files` is looked into: files are decoded on several threads at once."""

    async def load(self, source: str, rate: int) -> NDArray[np.int16]:
        """Return the samples of `source` at `rate`; PeerError with a sentence if there are none."""
        kind, _, rest = source.partition(":")
        if kind == "silence":
            return silence(_seconds(rest, source), rate)
        if kind == "ring":
            duration, _, country = rest.rpartition(":")
            seconds = _seconds(duration, source) if duration.strip() else None
            return ring(country.strip().lower(), seconds, rate)
        if source.startswith(("http://", "https://")):
            own = await asyncio.to_thread(self._own_file, source)
            if own is None:
                fetched = await self._fetcher.get(
                    source, max_bytes=MAX_CLIP_BYTES, timeout=FETCH_TIMEOUT
                )
                return await asyncio.to_thread(_decode, fetched.body, rate)
            source = str(own)
        return await asyncio.to_thread(self._from_file, source, rate)

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
    louder: NDArray[np.float64] = np.rint(samples * 10 ** (decibels / 20))
    clipped: NDArray[np.int16] = np.clip(louder, -32768, 32767).astype(np.int16)
    return clipped


def _decode(source: Path | bytes, rate: int) -> NDArray[np.int16]:
    # The decoders are 20 MB that a server which only records never needs.
    from ..audio.clip import decode_clip

    return decode_clip(source, rate)


def _seconds(text: str, source: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise PeerError(400, f"{source}: the duration must be a number of seconds") from None
    if not 0 <= seconds <= MAX_SILENCE:
        raise PeerError(400, f"{source}: the duration must be 0 to {MAX_SILENCE:g} seconds")
    return seconds
