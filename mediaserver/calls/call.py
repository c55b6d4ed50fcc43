"""One call: an INVITE, a media leg, a document that is carried out, and its end.

The document's steps run one after the other in the call's own task. Whatever ends the call from
outside (BYE, CANCEL, a lost connection, shutdown) ends the step in hand: recordings are closed
with the last packet that arrived, at once, before anything is awaited.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from ..errors import LocalError, PeerError
from ..recording.announcement import Announcement, Envelope
from ..recording.resource import Recording
from ..recording.states import StopReason
from ..sip.events import Established, InfoReceived, ReinviteAcknowledged, Reinvited
from ..sip.message import Request
from ..sip.session import Session
from ..swml.document import Document
from ..swml.errors import ScriptError
from ..swml.interpreter import Interpreter
from .capture import Capture
from .description import describe_call
from .documents import DocumentRefused
from .ending import CallOver, Ending
from .ledger import persist
from .negotiation import Negotiation
from .performance import Performance
from .ports import LegStatistics, MediaLeg
from .recording import DEFAULT_POLICY, ActiveRecording, RecordingOrder, RecordingPolicy
from .recordings import CallRecordings
from .resource import CallRecord
from .services import Services

ANSWER_WAIT: Final = 32.0
"""Seconds that the answer to an offer of ours may take to come with the ACK (64 * T1)."""

FILES_WAIT: Final = 3.0
"""Seconds that a script which has recorded waits for the files, before it goes on without them."""

T = TypeVar("T")


class Call:
    """An inbound call."""

    def __init__(
        self,
        services: Services,
        session: Session,
        request: Request,
        policy: RecordingPolicy = DEFAULT_POLICY,
    ) -> None:
        """`policy` is what its route says of its recordings."""
        self.id = str(uuid.uuid4())
        self.session = session
        self.request = request
        self.services = services
        self.policy = policy
        self.media: MediaLeg | None = None
        self.capture: Capture | None = None
        self.envelope = Envelope(
            project_id=services.identity.project_id,
            space_id=services.identity.space_id,
            node_id=services.identity.node_id,
            session_id=str(uuid.uuid4()),
        )
        self.answered = False
        self._negotiation: Negotiation | None = None
        self._answer_body = b""
        self._over = Ending()
        self.recordings = CallRecordings(services.studio, self.envelope, self.id, self._over)
        self.acknowledged_at: int | None = None
        """Position on the leg's line at which the first ACK was read."""
        self._acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._background: set[asyncio.Task[Any]] = set()
        self._began = services.clock.monotonic()
        self._statistics: LegStatistics | None = None
        self._record = CallRecord(
            id=self.id,
            project_id=services.identity.project_id,
            direction="inbound",
            from_=str(request.from_.uri),
            to=str(request.to.uri),
            # A Call-ID may hold any octets; a database takes text.
            sip_call_id=request.call_id.encode("utf-8", "replace").decode(),
            created_at=self._now_us(),
        )
        self.log = structlog.get_logger(__name__).bind(call_id=self.id)

    @property
    def ended(self) -> bool:
        """Whether it is over; its recordings may still be in the making."""
        return self._over.done()

    @property
    def resource(self) -> CallRecord:
        """What the database knows of it, or is about to."""
        return self._record

    # What the world does to the call.

    def over(self, cause: str) -> None:
        """End the call because the other side, or the operator, ended it."""
        if not self._over.come(cause):
            return
        self._let_go()

    def acknowledged(self, event: Established | ReinviteAcknowledged) -> None:
        """Take the ACK, with the answer to our offer if we made one."""
        if self._over.done():
            return
        try:
            if event.body and self._negotiation is not None:
                self._negotiation.accept(event.body)
        except PeerError as error:
            self.log.warning("answer in ACK refused", error=error.reason)
            self.hang_up("error")
        if not self._acknowledged.done():
            if self.media is not None:
                self.acknowledged_at = self.media.now()
            self._acknowledged.set_result(None)

    def renegotiate(self, event: Reinvited) -> None:
        """Answer a re-INVITE or UPDATE; one that cannot be accepted leaves all as it was."""
        signalling = self.services.signalling
        if self._over.done():  # our BYE waits for their ACK, and the leg is somebody else's
            signalling.reject(self.session, 481)
            return
        if self._negotiation is None:
            signalling.reject(self.session, 488)
            return
        try:
            signalling.answer(self.session, self._negotiation.respond(event.request.body))
        except PeerError as error:
            signalling.reject(self.session, error.status, reason=error.reason)

    def info(self, event: InfoReceived) -> None:
        """Take a DTMF digit that came as SIP INFO."""
        digit = _info_digit(event.content_type, event.body)
        if digit and not self._over.done() and self.capture and self.media:
            self.capture.on_key(digit, self.media.now())

    # What the call does.

    async def run(self, source: str, status_url: str | None) -> None:
        """Carry out the document at `source`; `status_url` hears of faults in it."""
        self.spawn(persist(partial(self.services.calls.add, self._record)))
        try:
            self._open_media()
            await self._perform(source, status_url)
        except CallOver:
            pass
        except PeerError as error:
            self._refuse(error)
        except LocalError as error:
            self.log.error("call refused", error=str(error))
            self.hang_up("error", status=503)
        except Exception:
            self.log.exception("call failed")
            self.hang_up("error", status=500)
        finally:
            self.hang_up("hangup")
            await self._wind_up()

    def ring_early(self) -> None:
        """Let the caller hear us before the call is answered, if its INVITE brought an offer."""
        if not self.answered and self.request.body:
            self.services.signalling.ring(self.session, status=183, body=self._answer_body)

    async def answer(self, codecs: tuple[str, ...] = ()) -> None:
        """Answer the call, once; with an offer of ours, wait for the far end's answer.

        `codecs` are the names of those to be spoken, best first; none: whatever fits.
        """
        if self.answered:
            return
        if self._over.done():
            raise CallOver
        assert self._negotiation is not None
        if codecs:
            self._negotiation.limit(codecs)
            self._answer_body = self._negotiation.respond(self.request.body)
        self.answered = True
        self._record = replace(self._record, answered_at=self._now_us())
        self.services.signalling.answer(self.session, self._answer_body)
        if not self.request.body:
            try:
                async with asyncio.timeout(ANSWER_WAIT):
                    await self.unless_over(asyncio.shield(self._acknowledged))
            except TimeoutError:
                self.hang_up("ack_timeout")
                raise CallOver from None

    async def record(self, order: RecordingOrder) -> Recording:
        """Record in the foreground; return the recording once its files are made.

        The caller waits for that, so no longer than `FILES_WAIT`: then it is still RENDERING.
        """
        active, task = self._begin_recording(order)
        await self.unless_over(active.ended())
        await self.unless_over(asyncio.wait({task}, timeout=FILES_WAIT))
        return task.result() if task.done() else active.recording

    def record_along(self, order: RecordingOrder) -> ActiveRecording:
        """Record in the background, until a rule, a command or the end of the call.

        ConflictError when a recording of its control id runs already, or too many do.
        """
        active, _ = self._begin_recording(order)
        return active

    def record_after(self, tone: NDArray[np.int16], order: RecordingOrder) -> None:
        """Play a tone and then `record_along`; see `CallRecordings.cue`."""
        assert self.media is not None
        assert self.capture is not None
        self.recordings.cue(self.media, tone, self.capture, order, self.spawn)

    def _begin_recording(
        self, order: RecordingOrder
    ) -> tuple[ActiveRecording, asyncio.Task[Recording]]:
        if self.capture is None:
            raise CallOver
        return self.recordings.begin(self.capture, order, self.spawn)

    async def unless_over(self, step: Awaitable[T]) -> T:
        """See `Ending.unless_over`."""
        return await self._over.unless_over(step)

    def hang_up(self, cause: str, *, status: int = 480) -> None:
        """End the call from our side: BYE when it is up, `status` when it was never answered."""
        if not self._over.come(cause):
            return
        self._let_go()
        if self.answered:
            self.services.signalling.hang_up(self.session)
        else:
            self.services.signalling.reject(self.session, status)

    # How it is done.

    def _open_media(self) -> None:
        """Open the leg and answer the offer in mind: an offer that cannot be met is refused now."""
        if self._over.done():  # cancelled before it began
            raise CallOver
        media = self.media = self.services.media.open_leg()
        self.capture = Capture(media, self.services.journals, self.services.clock)
        self._negotiation = Negotiation(media, self.session.invite_hop.remote[0])
        self._answer_body = self._negotiation.respond(self.request.body)

    async def _perform(self, source: str, status_url: str | None) -> None:
        description = describe_call(self.id, self.request, self.services.identity)
        try:
            document = await self.unless_over(self._load(source, description))
            interpreter = Interpreter(document, call=description, envs={})
            folder = None if "://" in source else Path(source).parent
            await Performance(self, interpreter, folder).run()
        except DocumentRefused as refused:
            urls = {*refused.status_urls, *([status_url] if status_url else [])}
            self._report(refused.error, urls)
            self.hang_up("error", status=500)
        except ScriptError as error:
            self._report(error, {status_url} if status_url else set())
            self.hang_up("error", status=500)

    async def _load(self, source: str, description: dict[str, Any]) -> Document:
        request = {"call": description, "vars": {}, "envs": {}, "params": {}}
        return await self.services.documents.load(source, request)

    def _report(self, error: ScriptError, urls: set[str]) -> None:
        """Say what is wrong with a document: in the log, and to whoever wants to know."""
        self.log.error("document refused", code=error.code, path=error.path, error=error.message)
        params = {
            "call_id": self.id,
            "node_id": self.envelope.node_id,
            "error": {"code": error.code, "path": error.path, "message": error.message},
        }
        now = self._now_us()
        body = self.envelope.wrap("calling.script.warning", params, now)
        said = [
            Announcement(
                stream=f"{self.id}-{number}", sequence=1, url=url, body=body, created_at=now
            )
            for number, url in enumerate(sorted(urls))
        ]
        if said:  # the caller does not wait for the database
            self.spawn(persist(partial(self.services.outbox.add, said)))

    def _refuse(self, error: PeerError) -> None:
        if self._over.done():
            return
        self.log.warning("call refused", status=error.status, error=error.reason)
        status = error.status if 400 <= error.status < 700 and error.status != 401 else 500
        self.hang_up("error", status=status)

    def _let_go(self) -> None:
        """Close takes and ports now, with what has arrived by now.

        What fails here must not keep the rest from being closed, nor the far end from being told.
        """
        with self._logged("capture not closed"):
            if self.capture is not None:
                self.capture.hang_up(StopReason.HANGUP)
        with self._logged("media leg not closed"):
            if self.media is not None:
                self._statistics = self.media.statistics()
                self.media.close()

    @contextmanager
    def _logged(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            self.log.exception(what)

    async def _wind_up(self) -> None:
        """Wait for what still runs in the background, then write the call's last line."""
        try:
            while self._background:
                await asyncio.wait(self._background)
        except asyncio.CancelledError:  # shutdown: the next start completes what is cut off here
            for task in self._background:
                task.cancel()
            await asyncio.gather(*self._background, return_exceptions=True)
            raise
        if self.capture is not None:
            await self._close_journal(self.capture)
        cause = self._over.cause
        self._record = replace(self._record, ended_at=self._now_us(), end_reason=cause)
        await persist(partial(self.services.calls.save, self._record))
        statistics = self._statistics
        self.log.info(
            "call ended",
            caller=self._record.from_,
            callee=self._record.to,
            answered=self.answered,
            seconds=round(self.services.clock.monotonic() - self._began, 3),
            cause=cause,
            recordings=self.recordings.begun,
            packets_received=statistics.packets_received if statistics else 0,
            packets_lost=statistics.packets_lost if statistics else 0,
            packets_late=statistics.packets_late if statistics else 0,
            packets_refused=statistics.packets_refused if statistics else 0,
            skew_ppm=statistics.skew_ppm if statistics else None,
        )

    async def _close_journal(self, capture: Capture) -> None:
        try:
            await capture.close()
        except LocalError as error:
            self.log.error("journal not closed", error=str(error))

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` to its end whatever becomes of the call."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._spawned_done)
        return task

    def _spawned_done(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error("work of a call failed", exc_info=error)

    def _now_us(self) -> int:
        return int(self.services.clock.time() * 1e6)


def _info_digit(content_type: str, body: bytes) -> str | None:
    """Return the digit of an `application/dtmf-relay` or `application/dtmf` body."""
    kind = content_type.partition(";")[0].strip().lower()
    text = body[:64].decode("ascii", "replace")
    if kind == "application/dtmf-relay":
        for line in text.splitlines():
            name, _, value = line.partition("=")
            if name.strip().lower() == "signal":
                text = value
                break
        else:
            return None
    elif kind != "application/dtmf":
        return None
    digit = text.strip().upper()
    return digit if len(digit) == 1 and digit in "0123456789*#ABCD" else None
