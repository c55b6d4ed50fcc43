"""The recordings of one call: those that run, those that wait for a tone, those being finished."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog

from ..errors import ConflictError, LocalError
from ..recording.announcement import Envelope
from ..recording.resource import Recording, Span
from .capture import Capture
from .ending import CallOver, Ending
from .recording import ActiveRecording
from .recording_order import RecordingOrder
from .studio import Studio

MAX_RECORDINGS: Final = 16
"""Recordings that run on one call at a time."""

FILES_WAIT: Final = 3.0
"""Seconds that a script which has recorded waits for the files, before it goes on without them."""

log = structlog.get_logger(__name__)

Spawn = Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]


class CallRecordings:
    """Begins recordings on a call and knows them by their control ids."""

    def __init__(
        self,
        studio: Studio,
        envelope: Envelope,
        call_id: str,
        ending: Ending,
        capture: Callable[[], Capture | None],
        spawn: Spawn,
    ) -> None:
        """`capture` returns that of the call, None while it has none; `spawn` runs work to its end,
        beside the call."""
        self._capture = capture
        self._spawn = spawn
        self._studio = studio
        self._envelope = envelope
        self._call_id = call_id
        self._ending = ending
        self.running: dict[str, ActiveRecording] = {}
        """Those that run, by their control ids."""
        self.cued: dict[str, asyncio.Task[ActiveRecording | None]] = {}
        """Those that begin when the tone before them is over."""
        self._unsettled: set[ActiveRecording] = set()
        self.begun = 0
        """How many there have been."""

    def get(self, control_id: str) -> ActiveRecording | None:
        """Return the one that runs under a control id."""
        return self.running.get(control_id)

    def knows(self, control_id: str) -> bool:
        """Tell whether one of that control id runs, or is about to."""
        return control_id in self.running or control_id in self.cued

    @property
    def unsettled(self) -> list[Span]:
        """What of the leg's journal is being recorded, or was and is not written down yet."""
        return [active.recording.span for active in self._unsettled]

    async def record(self, order: RecordingOrder) -> Recording:
        """Record in the foreground; return the recording once its files are made.

        The caller waits for that, so no longer than `FILES_WAIT`: then it is still RENDERING.
        """
        active, task = self._begin(order)
        try:
            await self._ending.unless_over(active.ended())
        except asyncio.CancelledError:  # another document takes the call
            active.stop()
            raise
        await self._ending.unless_over(asyncio.wait({task}, timeout=FILES_WAIT))
        return task.result() if task.done() else active.recording

    def record_along(self, order: RecordingOrder) -> ActiveRecording:
        """Record in the background, until a rule, a command or the end of the call.

        CallOver when the call is; ConflictError when a recording of its control id runs already,
        or too many do.
        """
        active, _ = self._begin(order)
        return active

    def _begin(self, order: RecordingOrder) -> tuple[ActiveRecording, asyncio.Task[Recording]]:
        """Begin a recording now; return it, and the task that sees it through."""
        capture = self._capture()
        if capture is None or self._ending.done():
            raise CallOver
        self.check_room(order.control_id)
        self.begun += 1
        active = ActiveRecording(self._studio, capture, order, self._envelope, self._call_id)
        control_id = active.recording.control_id
        self.running[control_id] = active
        task = self._spawn(active.see_through())
        active.when_over(lambda: self.running.pop(control_id, None))
        self._unsettled.add(active)
        task.add_done_callback(lambda _: self._unsettled.discard(active))
        return active, task

    def record_after(self, tone: Callable[[], Awaitable[None]], order: RecordingOrder) -> None:
        """Play a tone and then `record_along`; the order's control id is taken from now on.

        `tone` returns when it has been heard. Should the call end meanwhile, which raises CallOver,
        nothing is recorded.
        """
        control_id = order.control_id
        assert control_id is not None
        self.check_room(control_id)

        async def play_and_begin() -> ActiveRecording | None:
            try:
                try:
                    await tone()
                finally:
                    del self.cued[control_id]
                return self.record_along(order)
            except CallOver:
                return None
            except LocalError as error:
                log.error(
                    "recording not begun",
                    call_id=self._call_id,
                    control_id=control_id,
                    error=str(error),
                )
                return None

        self.cued[control_id] = self._spawn(play_and_begin())

    async def cue_over(self, control_id: str) -> ActiveRecording | None:
        """Wait for the tone before a recording, if one is playing; return what began then."""
        task = self.cued.get(control_id)
        return None if task is None else await asyncio.shield(task)

    def check_room(self, control_id: str | None) -> None:
        """Raise ConflictError when no recording can begin under a control id."""
        if control_id is not None and self.knows(control_id):
            raise ConflictError(f"control_id: a recording {control_id!r} runs on this call")
        if len(self.running) + len(self.cued) >= MAX_RECORDINGS:
            raise ConflictError(f"{MAX_RECORDINGS} recordings run on this call; stop one first")
