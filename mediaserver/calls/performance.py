"""Carrying out the steps of a document on a call."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ..audio.tones import beep
from ..errors import ConflictError, PeerError
from ..recording.recorder import StopRules
from ..recording.resource import Direction, Format, PostProcessing, Source
from ..recording.states import swml_result
from ..swml.actions import (
    Action,
    Answer,
    FetchDocument,
    FileAudio,
    Finished,
    Hangup,
    HttpRequest,
    Play,
    Prompt,
    Record,
    RecordCall,
    SendDigits,
    Sleep,
    StopRecordCall,
)
from ..swml.actions import Source as AudioSource
from ..swml.errors import Code, ScriptError
from ..swml.interpreter import Interpreter
from .clips import amplify
from .documents import DocumentRefused, origin_of
from .prompting import run_prompt
from .recording import RecordingOrder
from .requesting import run_request

if TYPE_CHECKING:
    from .call import Call

WAITS: Final = MappingProxyType({"W": 1.0, "w": 0.5})
"""Seconds that are waited for among keys."""

ACK_WAIT: Final = 0.05
"""Seconds an ACK may have waited to be read, while the voice behind it was already coming."""

_HANGUP_STATUS = {"busy": 486, "decline": 603, "hangup": 480}


class Performance:
    """Asks the interpreter for the next action, carries it out, tells what came of it."""

    def __init__(self, call: Call, interpreter: Interpreter, folder: Path | None) -> None:
        """`folder` is where the document is: files it names are sought there."""
        self._call = call
        self._folder = folder
        self._interpreter = interpreter
        self._deadline: asyncio.TimerHandle | None = None
        self._since: int | None = None
        """Position the call was answered at, while no step has let time pass since then."""

    async def run(self) -> None:
        """Go through the document to its end; the call hangs up after the last step."""
        try:
            while True:
                action = await self._next()
                if isinstance(action, Finished):
                    self._call.hang_up("hangup")
                    return
                if isinstance(action, FetchDocument):
                    await self._fetch(action)
                else:
                    self._interpreter.complete(await self._perform(action))
        finally:
            if self._deadline is not None:
                self._deadline.cancel()

    async def _next(self) -> Action:
        """Return the next action; what has JavaScript in it is stepped through elsewhere."""
        if not self._interpreter.scripted:
            return self._interpreter.next()
        scripts = self._call.services.scripts
        return await self._call.unless_over(scripts.run(self._interpreter.next))

    async def _fetch(self, action: FetchDocument) -> None:
        """Go on with a document that the script names."""
        scope = self._interpreter.scope
        request = {
            "call": scope.call, "vars": scope.vars, "envs": scope.envs, "params": action.params,
        }  # fmt: skip
        load = self._call.services.documents.load(action.url, request)
        try:
            document = await self._call.unless_over(load)
        except DocumentRefused:
            raise
        except PeerError as error:
            message = f"there is no document at {origin_of(action.url)}: {error.reason}"
            raise ScriptError(Code.METHOD_EXECUTE_FAILED, action.path, message) from None
        self._interpreter.arrived(document)

    async def _perform(self, action: Action) -> dict[str, Any]:
        """Carry out one action; return the variables it sets."""
        match action:
            case Answer():
                await self._answer(action)
            case Play():
                return await self._play(action)
            case Prompt():
                return await self._prompt(action)
            case HttpRequest():
                return await run_request(self._call, action)
            case SendDigits():
                return await self._send_digits(action.digits)
            case RecordCall():
                return await self._record_call(action)
            case Record():
                return await self._record(action)
            case StopRecordCall():
                return self._stop_record_call(action)
            case Sleep():
                await self._sleep(action.seconds)
            case Hangup():
                status = _HANGUP_STATUS.get(action.reason, 480)
                self._call.hang_up(action.reason, status=status)
                await self._call.unless_over(asyncio.get_running_loop().create_future())
        return {}

    async def _pick_up(self, codecs: tuple[str, ...] = ()) -> None:
        """Answer, unless that is done. From that instant on the far end may speak."""
        call = self._call
        if call.answered or call.media is None:
            return
        self._since = answered_at = call.media.now()
        await call.answer(codecs)
        if not call.request.body and call.acknowledged_at is not None:
            # The offer was ours: it speaks from its ACK on, which may have taken seconds.
            waited = round(ACK_WAIT * call.media.rate)
            self._since = max(answered_at, call.acknowledged_at - waited)

    async def _answer(self, action: Answer) -> None:
        await self._pick_up(action.codecs)
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(
                action.max_duration, self._call.hang_up, "max_duration"
            )

    async def _play(self, action: Play) -> dict[str, Any]:
        call = self._call
        if action.auto_answer or not call.request.body:
            await self._pick_up()
        else:
            call.ring_early()
        self._since = None
        await self._play_sources(action.sources, action.volume)
        return {}

    async def _play_sources(self, sources: Sequence[AudioSource], volume: float) -> bool:
        """Play sources one after the other; return whether there was anything to play."""
        call = self._call
        assert call.media is not None
        played = False
        for source in sources:
            name = str(source)
            if isinstance(source, FileAudio) and self._folder is not None:
                name = str(self._folder / source.path)
            try:
                samples = await call.unless_over(call.services.clips.load(name, call.media.rate))
            except PeerError as error:
                call.log.warning("nothing to play", source=name, error=error.reason)
                continue
            if volume:
                work = asyncio.to_thread(amplify, samples, volume)
                samples = await call.unless_over(work)
            await call.unless_over(call.media.play(samples))
            played = True
        return played

    async def _prompt(self, action: Prompt) -> dict[str, Any]:
        await self._pick_up()
        self._since = None
        return await run_prompt(
            self._call, action, partial(self._play_sources, action.sources, action.volume)
        )

    async def _send_digits(self, digits: str) -> dict[str, Any]:
        """Press keys, with waits in between."""
        call = self._call
        await self._pick_up()
        self._since = None
        assert call.media is not None
        session = call.media.session
        if session is None or session.send_events is None:
            return {"send_digits_result": "failed"}
        for stretch in re.findall(r"[Ww]|[^Ww]+", digits):
            seconds = WAITS.get(stretch)
            step = call.media.send_digits(stretch) if seconds is None else asyncio.sleep(seconds)
            await call.unless_over(step)
        return {"send_digits_result": "success"}

    async def _record(self, action: Record) -> dict[str, Any]:
        call = self._call
        recording = await call.record(await self._order(action, Source.RECORD_ACTION))
        return {
            "record_url": call.services.studio.ledger.download_url(recording.id),
            "record_result": swml_result(recording.state, recording.stop_reason),
        }

    async def _record_call(self, action: RecordCall) -> dict[str, Any]:
        call = self._call
        order = await self._order(action, Source.CALL_RECORDING, action.control_id)
        try:
            active = call.record_along(order)
        except ConflictError as error:
            call.log.warning("record_call refused", error=str(error))
            return {"record_call_result": "failed"}
        recording = active.recording
        return {
            "record_call_url": call.services.studio.ledger.download_url(recording.id),
            "record_call_result": "success",
            "record_control_id": recording.control_id,
        }

    def _stop_record_call(self, action: StopRecordCall) -> dict[str, Any]:
        """Stop the recording named, or else the one started last."""
        control_id = action.control_id or self._interpreter.variables.get("record_control_id")
        active = self._call.recordings.get(str(control_id))
        stopped = active is not None and active.stop()
        return {"stop_record_call_result": "success" if stopped else "failed"}

    async def _order(
        self, action: Record | RecordCall, source: Source, control_id: str | None = None
    ) -> RecordingOrder:
        """Get the line ready to be recorded; return what is to be."""
        call = self._call
        await self._pick_up()
        assert call.media is not None
        if action.beep:
            self._since = None
            await call.unless_over(call.media.play(beep(call.media.rate)))
        longest = call.services.max_recording
        policy = call.policy
        if action.post_processing:
            policy = replace(
                policy, post_processing=tuple(PostProcessing(x) for x in action.post_processing)
            )
        # Whoever speaks as soon as he is answered is quicker than a busy server.
        since, self._since = self._since, None
        return RecordingOrder(
            rules=StopRules(
                terminators=action.terminators,
                initial_timeout=action.initial_timeout,
                end_silence_timeout=action.end_silence_timeout,
                max_length=min(action.max_length or longest, longest),
                input_sensitivity=action.input_sensitivity,
            ),
            format=Format(action.format),
            direction=Direction(action.direction),
            stereo=action.stereo,
            status_url=action.status_url,
            source=source,
            control_id=control_id,
            policy=policy,
            since=since,
        )

    async def _sleep(self, seconds: float | None) -> None:
        """Wait; None waits until the call ends."""
        self._since = None
        if seconds is None:
            await self._call.unless_over(asyncio.get_running_loop().create_future())
        else:
            await self._call.unless_over(asyncio.sleep(seconds))
