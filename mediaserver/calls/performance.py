"""Carrying out the steps of a document on a call, one after the other.

What a step does is in `steps`, a module for each noun; here is what steps have in common.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import PeerError
from ..swml.actions import (
    Action,
    FetchDocument,
    FileAudio,
    Finished,
    Play,
    Prompt,
    Speaker,
    Speech,
)
from ..swml.actions import Source as AudioSource
from ..swml.errors import Code, ScriptError
from ..swml.interpreter import Interpreter
from .documents import DocumentRefused, origin_of
from .steps import perform

if TYPE_CHECKING:
    from .call import Call


class Performance:
    """Asks the interpreter for the next action, has it carried out, tells what came of it."""

    def __init__(
        self,
        call: Call,
        interpreter: Interpreter,
        folder: Path | None,
        status_url: str | None = None,
    ) -> None:
        """`folder` is where the document is: files it names are sought there.

        `status_url` is told of the document's faults.
        """
        self.call = call
        self.deadline: asyncio.TimerHandle | None = None
        """What ends the call after the `max_duration` of its `answer`."""
        self.status_url = status_url
        """Whoever is told of the document's faults."""
        self._folder = folder
        self._interpreter = interpreter
        self._since: int | None = None
        self._learnt: dict[str, Any] = {}

    @property
    def variables(self) -> Mapping[str, Any]:
        """The script's variables as they are now."""
        return self._interpreter.variables

    async def run(self) -> None:
        """Go through the document to its end."""
        try:
            while True:
                action = await self._next()
                if isinstance(action, Finished):
                    return
                if isinstance(action, FetchDocument):
                    await self._fetch(action)
                else:
                    set_by_step = await self._perform(action)
                    learnt, self._learnt = self._learnt, {}
                    self._interpreter.complete({**learnt, **set_by_step})
        finally:
            if self.deadline is not None:
                self.deadline.cancel()

    async def pick_up(self, codecs: tuple[str, ...] = ()) -> None:
        """Answer the call, unless that is done. From that instant on the far end may speak."""
        answered_at = await self.call.answer(codecs)
        if answered_at is not None:
            self._since = answered_at

    def take_since(self) -> int | None:
        """Return the position the call was answered at, if no step has let time pass since then.

        Whoever speaks as soon as he is answered is quicker than a busy server.
        """
        since, self._since = self._since, None
        return since

    def let_time_pass(self) -> None:
        """Note that this step takes time, so that what follows begins after it."""
        self._since = None

    def learn(self, variables: Mapping[str, Any]) -> None:
        """Set variables once the step in hand is over: something in the background has news."""
        self._learnt |= variables

    def sources(
        self,
        sources: Iterable[AudioSource],
        *,
        voice: str | None = None,
        language: str | None = None,
        gender: str | None = None,
    ) -> tuple[AudioSource, ...]:
        """Return sources with all that can be known here filled in.

        What is not said of who speaks is in the script's variables, or as `Speaker` has it.
        """
        known = Speaker()
        speaker = Speaker(
            language=language or self._said("say_language") or known.language,
            gender=gender or self._said("say_gender") or known.gender,
            voice=voice or self._said("say_voice"),
        )
        return tuple(self._fill_in(source, speaker) for source in sources)

    def spoken(self, action: Play | Prompt) -> tuple[AudioSource, ...]:
        """Return the `sources` of a step that may say itself who speaks."""
        return self.sources(
            action.sources,
            voice=action.say_voice,
            language=action.say_language,
            gender=action.say_gender,
        )

    def _fill_in(self, source: AudioSource, speaker: Speaker) -> AudioSource:
        if isinstance(source, FileAudio) and self._folder is not None:
            return FileAudio(str(self._folder / source.path))
        return replace(source, speaker=speaker) if isinstance(source, Speech) else source

    def _said(self, name: str) -> str | None:
        value = self.variables.get(name)
        return value if isinstance(value, str) and value else None

    async def _next(self) -> Action:
        """Return the next action; what has JavaScript in it is stepped through elsewhere."""
        if not self._interpreter.scripted:
            return self._interpreter.next()
        scripts = self.call.services.scripts
        return await self.call.unless_over(scripts.run(self._interpreter.next))

    async def _perform(self, action: Action) -> Mapping[str, Any]:
        step = self._interpreter.step
        try:
            return await perform(self, action)
        except ScriptError as error:
            if error.path or step is None:
                raise
            raise ScriptError(error.code, step.path, error.message) from None

    async def _fetch(self, action: FetchDocument) -> None:
        """Go on with a document that the script names."""
        scope = self._interpreter.scope
        request = {
            "call": scope.call, "vars": scope.vars, "envs": scope.envs, "params": action.params,
        }  # fmt: skip
        load = self.call.services.documents.load(action.url, request, self.call.allow)
        try:
            document = await self.call.unless_over(load)
        except DocumentRefused:
            raise
        except PeerError as error:
            message = f"there is no document at {origin_of(action.url)}: {error.reason}"
            raise ScriptError(Code.METHOD_EXECUTE_FAILED, action.path, message) from None
        self._interpreter.arrived(document)
