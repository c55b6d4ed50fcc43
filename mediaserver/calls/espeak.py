"""`say:` by the program espeak-ng: a process a text, on its standard input, and nothing on disk.

Texts come from scripts, and by variables from callers and applications. So a text has a length, a
process has a time and an amount of audio to make, few run at once, and only so many texts wait.
What was spoken is kept for a while: greetings are the same for every call.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import LocalError, PeerError
from ..swml.actions import Speaker
from ..swml.limits import MAX_SPEECH

PROGRAM: Final = "espeak-ng"

AT_ONCE: Final = 2
"""Processes at a time: each is a core for a tenth of a second, more for long texts."""

MOST_WAITING: Final = 256
"""Texts that are being spoken or wait for it; one more cannot be."""

TIMEOUT: Final = 20.0
"""Seconds a text may take, its turn included."""

MOST_OCTETS: Final = 32 << 20
"""Of audio made of one text: 12 minutes."""

KEPT: Final = 32 << 20
"""Octets of audio that are kept; what was not wanted for longest makes room."""

_ENVIRONMENT: Final = ("PATH", "ESPEAK_DATA_PATH")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,3}")
_NAMED: Final = re.compile(r"([A-Za-z]{2,3}-[A-Z]{2})-")
"""Voices such as en-US-Wavenet-C begin with their language."""

_VARIANTS: Final[Mapping[str, str]] = MappingProxyType({"female": "+f2", "male": "+m3"})


class Espeak:
    """See `calls.ports.SpeechEngine`."""

    def __init__(self, program: str = PROGRAM) -> None:
        self._program = program
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._speaking: dict[tuple[str, str, int], asyncio.Task[NDArray[np.int16]]] = {}
        self._kept: dict[tuple[str, str, int], NDArray[np.int16]] = {}
        self._size = 0

    async def speak(self, text: str, speaker: Speaker, rate: int) -> NDArray[np.int16]:
        """Return a text as samples; see `SpeechEngine`."""
        if len(text) > MAX_SPEECH:
            raise PeerError(413, f"a text of {len(text)} characters; {MAX_SPEECH} are the most")
        if not text.strip():
            return np.zeros(0, np.int16)
        key = text, voice_of(speaker), rate
        known = self._kept.pop(key, None)
        if known is not None:
            self._kept[key] = known
            return known
        speaking = self._speaking.get(key)
        if speaking is None:
            if len(self._speaking) >= MOST_WAITING:
                raise LocalError(f"{MOST_WAITING} texts wait to be spoken")
            speaking = self._speaking[key] = asyncio.create_task(self._make(*key))
            speaking.add_done_callback(partial(self._spoken, key))
        # Whoever waits for it may go; others may want it.
        return await asyncio.shield(speaking)

    async def close(self) -> None:
        """End what is being spoken."""
        speaking = list(self._speaking.values())
        for task in speaking:
            task.cancel()
        await asyncio.gather(*speaking, return_exceptions=True)

    async def _make(self, text: str, voice: str, rate: int) -> NDArray[np.int16]:
        try:
            async with asyncio.timeout(TIMEOUT), self._turns:
                audio = await self._run(text, voice)
        except TimeoutError:
            raise LocalError(f"the text was not spoken within {TIMEOUT:g} s") from None
        samples = await asyncio.to_thread(_decode, audio, rate)
        self._keep((text, voice, rate), samples)
        return samples

    async def _run(self, text: str, voice: str) -> bytes:
        """Return what the program makes of a text, a wav file."""
        try:
            process = await asyncio.create_subprocess_exec(
                self._program, "--stdin", "--stdout", "-v", voice,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            )  # fmt: skip
        except OSError as error:
            message = f"speech.engine: {self._program} cannot be started: {error.strerror}"
            raise LocalError(message) from None
        try:
            audio = await _converse(process, text)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise PeerError(415, f"{self._program} has no voice for {voice.partition('+')[0]}")
        return audio

    def _spoken(self, key: tuple[str, str, int], task: asyncio.Task[NDArray[np.int16]]) -> None:
        self._speaking.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever wanted it may have gone

    def _keep(self, key: tuple[str, str, int], samples: NDArray[np.int16]) -> None:
        self._kept[key] = samples
        self._size += samples.nbytes
        while self._size > KEPT and len(self._kept) > 1:
            self._size -= self._kept.pop(next(iter(self._kept))).nbytes


def voice_of(speaker: Speaker) -> str:
    """Return what espeak-ng calls a speaker, such as `en-us+f2`; PeerError 415 for no language.

    The voices of other engines are not known here, but by the language that their names may have.
    """
    named = _NAMED.match(speaker.voice or "")
    language = named[1] if named else speaker.language
    if not _LANGUAGE.fullmatch(language):
        raise PeerError(415, f"{language[:32]!r} is no language, such as en-US")
    return language.lower() + _VARIANTS.get(speaker.gender.lower(), "")


async def _converse(process: asyncio.subprocess.Process, text: str) -> bytes:
    """Give a process its text, and take what it says until it ends."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(text.encode("utf-8", "replace") + b"\n")
    process.stdin.close()
    parts: list[bytes] = []
    left = MOST_OCTETS
    while part := await process.stdout.read(1 << 16):
        left -= len(part)
        if left < 0:
            raise PeerError(413, "the text takes too long to be spoken")
        parts.append(part)
    await process.wait()
    return b"".join(parts)


def _decode(audio: bytes, rate: int) -> NDArray[np.int16]:
    from ..audio.clip import decode_clip

    return decode_clip(audio, rate)
