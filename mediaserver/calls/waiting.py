"""What a member of a conference hears until it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..audio.hold_music import hold_music
from ..errors import PeerError
from ..swml.actions import WebAudio
from ..swml.document import Document
from ..swml.errors import ScriptError
from ..swml.interpreter import Interpreter
from .documents import DocumentRefused
from .floor import play_on

if TYPE_CHECKING:
    from .call import Call

SHORTEST: Final = 0.5
"""Seconds that a document for those who wait must last: one that plays nothing is not repeated."""


async def wait_for_start(call: Call, url: str | None) -> None:
    """Play what `url` names, or else hold music, over and over; ends by being cancelled.

    `url` is of a document, which is asked for as in contract A10 and carried out on the call, or
    of audio. CallOver when the call ends.
    """
    if url is not None:
        try:
            await _play_document(call, await _load(call, url))
        except (PeerError, DocumentRefused, ScriptError) as fault:
            if not await _play_audio(call, url):
                call.log.warning("nothing to play to who waits", url=url, error=str(fault))
    assert call.media is not None
    await play_on(call, hold_music(call.media.rate))


async def _load(call: Call, url: str) -> Document:
    request = {"call": call.description, "vars": {}, "envs": {}, "params": {}}
    return await call.unless_over(call.services.documents.load(url, request, call.allow))


async def _play_document(call: Call, document: Document) -> None:
    """Carry a document out until it no longer takes any time."""
    # The steps of documents are above this module: one of them is to join a conference.
    from .performance import Performance

    clock = call.services.clock
    while True:
        began = clock.monotonic()
        engine = call.services.scripts.engine
        interpreter = Interpreter(document, call=call.description, envs={}, engine=engine)
        await Performance(call, interpreter, None).run()
        if clock.monotonic() - began < SHORTEST:
            return


async def _play_audio(call: Call, url: str) -> bool:
    """Play an audio file for ever; False when there is none that is long enough."""
    assert call.media is not None
    try:
        clip = await call.unless_over(call.services.clips.load(WebAudio(url), call.media.rate))
    except PeerError:
        return False
    if clip.samples.size < SHORTEST * call.media.rate:
        return False
    await play_on(call, clip.samples)
    return True
