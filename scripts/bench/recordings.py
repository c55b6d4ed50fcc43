"""Is everything that was said in the file? Every sample, in its place, and nothing else.

A recording begins when the call is answered and ends when it is hung up, so silence may surround
what was said; inside, the samples after one G.711 round trip must stand without a gap.
"""

from __future__ import annotations

import http.client
import io
import wave
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from .errors import BenchError
from .speech import FRAME, RATE

_DISTINCT: Final = 16
"""Different values a packet must have to be looked for."""

UNDER_WAY: Final = RATE // 10
"""Samples: the frames sent last, and an end of silence that the clip may have just there."""

_TRIES: Final = 100
"""Packets that are looked for before a file counts as having nothing of what was said."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a file has of what was said."""

    missing: int
    """Samples that are not there, or not in their place."""
    foreign: int
    """Samples other than silence around what was said."""
    lead: int
    """Samples of silence before what was said."""
    trail: int
    """Samples of silence after it."""

    @property
    def right(self) -> bool:
        """Whether nothing is missing and nothing was added."""
        return self.missing == 0 and self.foreign == 0

    def fault(self, said: int) -> str:
        """Say what is wrong, of so many samples said."""
        return (
            f"of {said} samples {self.missing} are missing or not in their place, "
            f"{self.foreign} do not belong there"
        )


def compare(file: NDArray[np.int16], said: NDArray[np.int16]) -> Verdict:
    """Return what `file` has of `said`, once the first packet found in it says where."""
    lead = _offset(file, said)
    if lead is None:
        return Verdict(said.size, int(np.count_nonzero(file)), 0, 0)
    begin, end = max(0, lead), min(file.size, lead + said.size)
    there = said[begin - lead : end - lead]
    missing = said.size - there.size + int(np.count_nonzero(file[begin:end] != there))
    around = np.count_nonzero(file[:begin]) + np.count_nonzero(file[end:])
    return Verdict(missing, int(around), lead, file.size - end)


def compare_clip(file: NDArray[np.int16], clip: NDArray[np.int16]) -> Verdict:
    """Return what `file` has of a clip that was still being played when the file ended.

    What was under way at the end, `UNDER_WAY` at the most, need not be there.
    """
    lead = _offset(file, clip)
    if lead is None or lead < 0:
        return Verdict(clip.size, int(np.count_nonzero(file)), 0, 0)
    played = np.flatnonzero(file)[-1] + 1 - lead
    verdict = compare(file, clip[:played])
    short = max(0, file.size - lead - played - UNDER_WAY)
    return Verdict(verdict.missing + short, verdict.foreign, lead, verdict.trail)


def _offset(file: NDArray[np.int16], said: NDArray[np.int16]) -> int | None:
    """Return how far into the file what was said begins; negative when its start is cut off."""
    data = file.astype("<i2").tobytes()
    tries = _TRIES
    for at in range(0, said.size - FRAME + 1, FRAME):
        packet = said[at : at + FRAME]
        if np.unique(packet).size < _DISTINCT:
            continue
        if not tries:
            break
        tries -= 1
        sought = packet.astype("<i2").tobytes()
        found = data.find(sought)
        while found > 0 and found % 2:  # between two samples: go on
            found = data.find(sought, found + 1)
        if found >= 0:
            return found // 2 - at
    return None


class Downloads:
    """Fetches recordings as an application would: by the URL in the callback, with a key."""

    def __init__(self, host: str, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=30)
        self._headers = {"Authorization": f"Bearer {key}"}

    def fetch(self, url: str, channels: int = 1) -> NDArray[np.int16]:
        """Return the samples of a recording, shape (channels, n).

        BenchError when it is not what it should be.
        """
        parts = urlsplit(url)
        try:
            self._connection.request("GET", parts.path, headers=self._headers)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise BenchError(f"a download broke off: {error}") from None
        if response.status != 200:
            raise BenchError(f"a download was answered {response.status}")
        try:
            with wave.open(io.BytesIO(body)) as file:
                if file.getparams()[:3] != (channels, 2, RATE):
                    raise BenchError(f"a recording has not {channels} channels of 16 bit at 8 kHz")
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
                return samples.astype(np.int16).reshape(-1, channels).T
        except (wave.Error, EOFError) as error:
            raise BenchError(f"a recording is no wav file: {error}") from None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
