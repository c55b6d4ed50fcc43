"""`calling.detect` and its end."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, model_validator

from mediaserver.audio.answering import MachineRules
from mediaserver.audio.single_tone import FaxTone
from mediaserver.calls.commands.detecting import StartDetection, StopDetection
from mediaserver.calls.detection import DetectOrder, DigitRules
from mediaserver.swml.limits import MAX_SECONDS, MAX_TERMINATORS

from .fault import conflict
from .part import ControlId, Params, Part, Seconds, WebUrl

Digits = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_TERMINATORS, pattern="^[0-9A-Da-d*#]*$")
]


class DetectParams(Part):
    """`detect.params` of `calling.detect`. Times are seconds; 0 switches a rule off.

    `tone` is of a fax and `digits` are of a digit; all others are of a machine.
    """

    initial_timeout: Seconds = 4.5
    end_silence_timeout: Seconds = 1.0
    machine_ready_timeout: Seconds | None = None
    machine_voice_threshold: Seconds = 1.25
    machine_words_threshold: Annotated[int, Field(ge=0, le=int(MAX_SECONDS))] = 6
    detect_interruptions: bool = False
    detect_message_end: bool = False
    tone: Literal["CED", "CNG"] = "CED"
    digits: Digits = "0123456789#*"


OF_OTHERS: Final = {"fax": {"tone"}, "digit": {"digits"}}


class Wanted(Part):
    """`detect` of `calling.detect`: what is to be found out."""

    type: Literal["machine", "fax", "digit"]
    params: DetectParams = DetectParams()

    @model_validator(mode="after")
    def _of_one_type(self) -> Wanted:
        machine = set(DetectParams.model_fields).difference(*OF_OTHERS.values())
        mine = OF_OTHERS.get(self.type, machine)
        for name in sorted(self.params.model_fields_set - mine):
            raise conflict(f"detect.params.{name}", f"is no parameter of the type {self.type}")
        return self

    def rules(self, timeout: float) -> MachineRules | DigitRules:
        """Return what to listen for."""
        params = self.params
        if self.type == "digit":
            return DigitRules(digits=params.digits, timeout=timeout)
        if self.type == "fax":
            return MachineRules(amd=False, fax=FaxTone(params.tone), timeout=timeout)
        machine = params.model_dump(exclude={"tone", "digits"})
        return MachineRules(fax=None, timeout=timeout, **machine)


class Detect(Params):
    """Finds out who is at the far end, or which key is pressed there."""

    control_id: ControlId
    detect: Wanted
    timeout: Seconds = 30.0
    status_url: WebUrl | None = None

    def order(self) -> StartDetection:
        """See `Params.order`."""
        return StartDetection(
            order=DetectOrder(
                rules=self.detect.rules(self.timeout),
                control_id=self.control_id,
                status_url=self.status_url,
                wait=False,
            )
        )


class DetectStop(Params):
    """Ends a detection."""

    control_id: ControlId

    def order(self) -> StopDetection:
        """See `Params.order`."""
        return StopDetection(control_id=self.control_id)
