"""The sources of one play, each loaded a little before it is its turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ..errors import LocalError, PeerError
from ..swml.actions import Source
from .clips import Clip

if TYPE_CHECKING:
    from .call import Call

KEPT: Final = 1 << 23
"""Samples that are kept to be played again: 17 minutes. What goes beyond is loaded again."""


class Playlist:
    """Loads sources for whoever goes through them, and remembers which cannot be had."""

    def __init__(self, call: Call, sources: tuple[Source, ...], *, again: bool) -> None:
        """`again`: each is asked for more than once."""
        self.fault: str | None = None
        """Why the first of those that cannot be played cannot."""
        self.playable = False
        """Whether one that was asked for can be."""
        self._call = call
        self._sources = sources
        self._again = again
        self._loading: dict[int, asyncio.Task[Clip | None]] = {}
        self._kept: dict[int, int] = {}
        """Samples of those that are kept."""

    def __len__(self) -> int:
        return len(self._sources)

    async def clip(self, number: int) -> Clip | None:
        """Return a source, counted from 0; None if it cannot be played."""
        loading = self._load(number)
        if number + 1 < len(self):
            self._load(number + 1)
        clip = await asyncio.shield(loading)
        if clip is not None:
            self.playable = True
            if not self._keep(number, clip):
                self._loading.pop(number, None)
        return clip

    def close(self) -> None:
        """Load nothing more."""
        for loading in self._loading.values():
            loading.cancel()
        self._loading.clear()

    def _load(self, number: int) -> asyncio.Task[Clip | None]:
        loading = self._loading.get(number)
        if loading is None:
            loading = asyncio.create_task(self._try(self._sources[number]))
            self._loading[number] = loading
        return loading

    async def _try(self, source: Source) -> Clip | None:
        assert self._call.media is not None
        try:
            clip = await self._call.services.clips.load(source, self._call.media.rate)
        except (PeerError, LocalError) as error:
            reason = error.reason if isinstance(error, PeerError) else str(error)
            self.fault = self.fault or reason
            self._call.log.warning("nothing to play", source=str(source), error=reason)
            return None
        return clip

    def _keep(self, number: int, clip: Clip) -> bool:
        if not self._again:
            return False
        if number not in self._kept and sum(self._kept.values()) + clip.samples.size <= KEPT:
            self._kept[number] = clip.samples.size
        return number in self._kept
