"""The codecs of telephones that are more than a table: loaded when the first call needs them.

That takes a fifth of a second and 30 MB. It is done in a thread, beside the calls that go on.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ..audio import phone_codec
from ..rtp.codecs import Decoder, Encoder

G722: Final = "G722"


class WideCodecs:
    """G.722 and Opus; see `rtp.codecs.Codecs`."""

    def __init__(self) -> None:
        self.loaded = False
        """Whether they are there."""
        self._loading: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to load them, unless that was done."""
        if self._loading is None:
            self._loading = asyncio.get_running_loop().create_task(self._load())

    async def ready(self) -> None:
        """Wait until they are there."""
        self.begin()
        assert self._loading is not None
        await asyncio.shield(self._loading)

    def decoder(self, name: str) -> Decoder:
        """Return a decoder of G722 or opus that has heard nothing."""
        return phone_codec.G722Decoder() if name == G722 else phone_codec.OpusDecoder()

    def encoder(self, name: str, ptime: int) -> Encoder:
        """Return an encoder of packets of so many milliseconds at most."""
        return phone_codec.G722Encoder() if name == G722 else phone_codec.OpusEncoder(ptime)

    async def _load(self) -> None:
        await asyncio.to_thread(phone_codec.load)
        self.loaded = True
