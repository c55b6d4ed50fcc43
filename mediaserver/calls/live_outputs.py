"""The taps and streams of one call, by their control ids.

Each runs beside the call and tells `status_url` of its beginning and its end. It ends by command,
when its other side is gone, or with the call; a listener that takes nothing any more keeps the
call for no longer than `LAST`.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConflictError, LocalError, PeerError
from .ending import CallOver
from .streaming import Stream, StreamOrder, audio_of, open_stream
from .tapping import Tap, TapOrder, open_tap

if TYPE_CHECKING:
    from .call import Call
    from .live_host import LiveHost, OpenAudio

MAX_OUTPUTS: Final = 8
"""Taps and streams that run on one call at a time."""

LAST: Final = 2.0
"""Seconds that the last audio of a call is given to leave us."""


class LiveOutputs:
    """What runs, and what is about to."""

    def __init__(self) -> None:
        self._running: dict[tuple[type[Tap | Stream], str], Tap | Stream | None] = {}
        """By kind and control id; None: connecting."""
        self._stopped: set[Tap | Stream] = set()

    async def start_tap(self, call: Call, order: TapOrder) -> dict[str, Any]:
        """Begin a tap; return its variables, also if it cannot be (contract A8 `tap`)."""
        try:
            return (await self.begin_tap(call, order)).variables
        except (PeerError, LocalError) as error:
            call.log.warning("tap not begun", error=_reason(error))
            return {"tap_uri": order.uri, "tap_result": "failed"}

    async def start_stream(self, call: Call, order: StreamOrder) -> dict[str, Any]:
        """Begin a stream; return its variables, also if it cannot be (contract A8 `stream`)."""
        try:
            return (await self.begin_stream(call, order)).variables
        except (PeerError, LocalError) as error:
            call.log.warning("stream not begun", error=_reason(error))
            return {"stream_result": "failed"}

    async def begin_tap(self, call: Call, order: TapOrder) -> Tap:
        """Begin a tap; PeerError or LocalError with a sentence when it cannot be.

        ConflictError when one of its control id runs, or too many do; CallOver when the call ends.
        """
        control_id = self._reserve(Tap, order.control_id)
        try:
            tap = await open_tap(call, order, control_id)
        except BaseException:
            del self._running[Tap, control_id]
            raise
        self._run(call, tap)
        return tap

    async def begin_stream(self, call: Call, order: StreamOrder) -> Stream:
        """Begin a stream; raises as `begin_tap`."""
        return await self.begin_stream_of(call, order, partial(audio_of, call))

    async def begin_stream_of(
        self, call: LiveHost, order: StreamOrder, open_audio: OpenAudio
    ) -> Stream:
        """Begin a stream of audio that is somebody's; raises as `begin_tap`."""
        control_id = self._reserve(Stream, order.control_id)
        try:
            stream = await open_stream(call, order, control_id, open_audio)
        except BaseException:
            del self._running[Stream, control_id]
            raise
        self._run(call, stream)
        return stream

    def stop_tap(self, control_id: str | None) -> bool:
        """End a tap, None: the one begun last; False if there is none."""
        return self._stop(Tap, control_id)

    def stop_stream(self, control_id: str | None) -> bool:
        """End a stream, None: the one begun last; False if there is none."""
        return self._stop(Stream, control_id)

    def _reserve(self, kind: type[Tap | Stream], control_id: str | None) -> str:
        control_id = control_id or str(uuid.uuid4())
        if (kind, control_id) in self._running:
            noun = kind.__name__.lower()
            raise ConflictError(f"control_id: a {noun} {control_id!r} runs on this call")
        if len(self._running) >= MAX_OUTPUTS:
            raise ConflictError(f"{MAX_OUTPUTS} taps and streams run on this call; stop one first")
        self._running[kind, control_id] = None
        return control_id

    def _stop(self, kind: type[Tap | Stream], control_id: str | None) -> bool:
        outputs = [
            output
            for (of, id), output in self._running.items()
            if of is kind and control_id in {None, id}
        ]
        there = [one for one in outputs if one is not None and one not in self._stopped]
        if not there:
            return False
        output = there[-1]
        self._stopped.add(output)
        output.audio.close()
        return True

    def _run(self, call: LiveHost, output: Tap | Stream) -> None:
        self._running[type(output), output.control_id] = output
        call.spawn(self._see_through(call, output))

    async def _see_through(self, call: LiveHost, output: Tap | Stream) -> None:
        """Run an output to its end, whichever way that comes."""
        _announce(call, output, output.running)
        reason = "failed"
        keys = call.capture.key_listeners if call.capture is not None else []
        tasks = [asyncio.create_task(output.send()), asyncio.create_task(output.listen())]
        playing = None
        if isinstance(output, Stream):
            keys.append(output.press)
            if output.playout is not None:
                playing = asyncio.create_task(output.playout.run())
        try:
            with contextlib.suppress(CallOver):
                await call.unless_over(asyncio.wait(tasks, return_when="FIRST_COMPLETED"))
            if call.ended:  # the last frames are there by now
                await asyncio.wait(tasks[:1], timeout=LAST)
            reason = self._why(call, output, tasks)
        finally:
            output.audio.close()
            if isinstance(output, Stream):
                keys.remove(output.press)
            if playing is not None and playing.done():
                call.log.error("stream not played", exc_info=playing.exception())
            for task in filter(None, (*tasks, playing)):
                task.cancel()
            await asyncio.gather(*filter(None, (*tasks, playing)), return_exceptions=True)
            with contextlib.suppress(PeerError, TimeoutError):
                async with asyncio.timeout(LAST):
                    await output.say_goodbye(reason)
            await output.close()
            del self._running[type(output), output.control_id]
            self._stopped.discard(output)
            output.over.set()
            _announce(call, output, "finished", reason)
            call.log.info(
                "live audio ended",
                event_type=output.event,
                control_id=output.control_id,
                reason=reason,
                frames_dropped=output.audio.dropped,
            )

    def _why(
        self, call: LiveHost, output: Tap | Stream, tasks: Sequence[asyncio.Task[None]]
    ) -> str:
        """Return why an output is over."""
        if output in self._stopped:
            return "stopped"
        if call.ended:
            return "call_ended"
        _, listening = tasks
        if listening.done() and listening.exception() is None:
            return "closed"
        error = next((e for task in tasks if task.done() and (e := task.exception())), None)
        if isinstance(error, PeerError):
            call.log.warning("live audio lost", control_id=output.control_id, error=error.reason)
            return "lost"
        call.log.error("live audio failed", control_id=output.control_id, exc_info=error)
        return "failed"


def _announce(call: LiveHost, output: Tap | Stream, state: str, reason: str | None = None) -> None:
    if output.status_url is None:
        return
    params: dict[str, Any] = {"control_id": output.control_id, "state": state, **output.params}
    if reason is not None:
        params["reason"] = reason
    call.announcer.say(output.event, params, output.status_url, output.id, output.status_url_method)


def _reason(error: PeerError | LocalError) -> str:
    return error.reason if isinstance(error, PeerError) else str(error)
