"""Who answered, and which key was pressed: `detect_machine` and `calling.detect` (A8, A4).

A detection listens to what the leg hears, beside whatever else goes on, and decides on the leg's
own time. What it finds out is told as `calling.call.detect` at once, in order; `finished` is last.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..audio.answering import Event, Finding, MachineDetector, MachineRules, Verdict
from ..audio.dtmf_tones import InbandDtmf
from ..errors import ConflictError
from .ending import CallOver
from .ports import Line

if TYPE_CHECKING:
    from .call import Call

MAX_DETECTIONS: Final = 4
"""Of one call at a time."""
MOST_AT_ONCE: Final = 3.8
"""Seconds of audio that are looked at together; a leg remembers little more."""
DETECTING: Final = "detecting"
"""`detect_result` until something is known."""

_NEVER: Final = (1 << 63) - 1

Changed = Callable[[Mapping[str, Any]], None]
"""Is given the variables when they are others than before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitRules:
    """Which key is waited for (contract A4, `calling.detect` of type `digit`)."""

    digits: str = "0123456789#*"
    timeout: float = 30.0
    """Seconds; 0: as long as the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectOrder:
    """What is to be found out, and whom to tell."""

    rules: MachineRules | DigitRules = field(default_factory=MachineRules)
    control_id: str | None = None
    """None: the server makes one."""
    status_url: str | None = None
    wait: bool = True
    """Whether `detect` returns once all is found out, or at once."""
    since: int | None = None
    """Position to listen from, a moment ago; None: the line's present position."""


class DigitDetector:
    """Waits for one key, pressed as an event or heard as a tone. Positions are those of a line."""

    def __init__(self, rules: DigitRules, start: int, rate: int) -> None:
        self.done_at: int | None = None
        self._digits = frozenset(rules.digits.upper())
        self._inband = InbandDtmf(rate)
        self._fed = start
        self._limit = start + round(rules.timeout * rate) if rules.timeout else _NEVER
        self._turn = rate // 10

    @property
    def fed(self) -> int:
        """Position up to which it was listened."""
        return self._fed

    @property
    def wake(self) -> int:
        """Position up to which there is nothing new."""
        return _NEVER if self.done_at is not None else min(self._limit, self._fed + self._turn)

    def feed(self, line: Line, upto: int) -> str | None:
        """Listen to the line up to there; return the key heard."""
        samples = line.read(self._fed, upto)
        keys = self._inband.feed(samples, self._fed)
        self._fed = upto
        return next((key for digit, at in keys if (key := self.press(digit, at))), None)

    def press(self, digit: str, position: int) -> str | None:
        """Take a key; return it if it is the one waited for."""
        digit = digit.upper()
        if self.done_at is not None or digit not in self._digits or position >= self._limit:
            return None
        self.done_at = position
        return digit

    def elapse(self, decided: int) -> None:
        """Let time pass."""
        if self.done_at is None and decided >= self._limit:
            self.done_at = self._limit


class Detection:
    """One detection in progress; a watcher of its call's leg."""

    def __init__(self, call: Call, order: DetectOrder, changed: Changed | None) -> None:
        """Begin to listen. CallOver when the call has no media; ConflictError as in `begin`."""
        if call.capture is None or call.media is None:
            raise CallOver
        self.control_id = order.control_id or str(uuid.uuid4())
        self._call = call
        self._capture = call.capture
        self._order = order
        self._changed = changed
        self._stream = f"{call.id}-detect-{uuid.uuid4()}"
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._start = call.media.now() if order.since is None else order.since
        self._rate = call.media.rate
        self._result = DETECTING
        rules = order.rules
        self._detector: MachineDetector | DigitDetector
        if isinstance(rules, DigitRules):
            self._detector = DigitDetector(rules, self._start, self._rate)
            self._capture.key_listeners.append(self._press)
        else:
            self._detector = MachineDetector(rules, self._start, self._rate)
        self._capture.watch(self)

    @property
    def wake(self) -> int:
        """See `Watcher`."""
        return self._detector.wake

    @property
    def variables(self) -> dict[str, Any]:
        """`detect_result` and the others of contract A8, as they are by now."""
        detector = self._detector
        now = detector.fed if detector.done_at is None else detector.done_at
        return {
            "detect_result": self._result,
            "detect_machine_beep": isinstance(detector, MachineDetector) and detector.beep,
            "detect_ms": max(0, now - self._start) * 1000 // self._rate,
        }

    def hear(self, leg: Line, upto: int, decided: int) -> None:
        """See `Watcher`."""
        detector = self._detector
        most = round(MOST_AT_ONCE * self._rate)
        while not self._done.done() and detector.fed < upto:
            end = min(upto, detector.fed + most)
            if isinstance(detector, DigitDetector):
                self._note_digit(detector.feed(leg, end))
            else:
                self._note(detector.feed(leg.read(detector.fed, end)))
        if not self._done.done():
            self._note(detector.elapse(decided) or [])

    def stop(self) -> bool:
        """End it by command; False if it was over before."""
        if self._done.done():
            return False
        self._end()
        return True

    async def ended(self) -> None:
        """Wait until it is over."""
        await asyncio.wait({self._done})

    async def see_through(self) -> None:
        """Wait until it is over, which it is at the latest when its call is."""
        try:
            await self._call.unless_over(self.ended())
        except CallOver:
            self.stop()

    def _press(self, digit: str, position: int) -> None:
        if isinstance(self._detector, DigitDetector):
            self._note_digit(self._detector.press(digit, position))

    def _note_digit(self, digit: str | None) -> None:
        if digit is not None:
            self._tell("digit", digit)
        if self._detector.done_at is not None and not self._done.done():
            self._end()

    def _note(self, findings: list[Finding]) -> None:
        """Tell what was found out, and that that is all if so."""
        detector = self._detector
        if isinstance(detector, MachineDetector):
            for finding in findings:
                fax = finding.event in {Event.CED, Event.CNG}
                self._tell("fax" if fax else "machine", finding.event, beep=finding.beep)
            if detector.verdict is not None:
                self._result = detector.verdict.value
        if detector.done_at is not None:
            self._end()
        elif findings and self._changed is not None:
            self._changed(self.variables)

    def _end(self) -> None:
        if self._result == DETECTING:
            self._result = Verdict.UNKNOWN.value
        self._capture.unwatch(self)
        if self._press in self._capture.key_listeners:
            self._capture.key_listeners.remove(self._press)
        beep = isinstance(self._detector, MachineDetector) and self._detector.beep
        self._tell(self._kind(), "finished", beep=beep)
        self._done.set_result(None)
        if self._changed is not None:
            self._changed(self.variables)

    def _kind(self) -> str:
        rules = self._order.rules
        if isinstance(rules, DigitRules):
            return "digit"
        return "machine" if rules.amd and self._result != Verdict.FAX else "fax"

    def _tell(self, kind: str, event: str, *, beep: bool = False) -> None:
        if self._order.status_url is None:
            return
        params: dict[str, Any] = {"event": str(event)}
        if beep and kind == "machine":
            params["beep"] = True
        self._call.announcer.say(
            "calling.call.detect",
            {"control_id": self.control_id, "detect": {"type": kind, "params": params}},
            self._order.status_url,
            self._stream,
        )


def begin(call: Call, order: DetectOrder, changed: Changed | None = None) -> Detection:
    """Begin a detection in the background; it ends by itself, by `stop` or with the call.

    ConflictError when one of its control id runs already, or MAX_DETECTIONS do. CallOver when the
    call has no media.
    """
    running = detections(call)
    if len(running) >= MAX_DETECTIONS:
        raise ConflictError(f"{MAX_DETECTIONS} detections run on this call already")
    if order.control_id is not None and find(call, order.control_id) is not None:
        raise ConflictError(f"a detection {order.control_id} runs on this call already")
    detection = Detection(call, order, changed)
    call.spawn(detection.see_through())
    return detection


def detections(call: Call) -> list[Detection]:
    """Return the detections that run on a call."""
    watchers = call.capture.watchers if call.capture is not None else ()
    return [one for one in watchers if isinstance(one, Detection)]


def find(call: Call, control_id: str) -> Detection | None:
    """Return the detection of a control id that runs, None if there is none."""
    return next((one for one in detections(call) if one.control_id == control_id), None)


async def detect(call: Call, order: DetectOrder, changed: Changed | None = None) -> dict[str, Any]:
    """Carry out a step of a document; return its variables (contract A8).

    Without `wait` they say "detecting", and `changed` is given them when that changes. CallOver
    when the call ends meanwhile; whoever is cancelled stops the detection.
    """
    try:
        detection = begin(call, order, changed)
    except ConflictError as error:
        call.log.warning("detection refused", error=str(error))
        return {"detect_result": "error", "detect_machine_beep": False, "detect_ms": 0}
    if order.wait:
        try:
            await call.unless_over(detection.ended())
        except asyncio.CancelledError:  # another document takes the call
            detection.stop()
            raise
    return detection.variables
