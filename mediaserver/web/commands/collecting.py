"""`calling.collect`, its timers and its end."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from mediaserver.calls.collecting import CollectOrder
from mediaserver.calls.collection import DigitRules
from mediaserver.calls.commands.collecting import StartCollect, StartInputTimers, StopCollect
from mediaserver.swml.limits import MAX_SECONDS
from mediaserver.swml.methods.prompt import MAX_DIGITS

from .part import ControlId, Keys, Params, Part, WebUrl

Wait = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
"""Seconds that somebody is waited for."""


def _no_speech(_value: Any) -> Any:
    raise ValueError("cannot be collected: this server has no speech recognition")


class Digits(Part):
    """How many keys, and what ends them."""

    max: Annotated[int, Field(ge=1, le=MAX_DIGITS)]
    terminators: Keys = ""
    digit_timeout: Wait = 5.0


class Collect(Params):
    """Collects the keys that are pressed, beside whatever the call's script does."""

    control_id: ControlId
    initial_timeout: Wait = 5.0
    digits: Digits
    speech: Annotated[Any, AfterValidator(_no_speech), WithJsonSchema({"not": {}})] = None
    continuous: bool = False
    partial_results: bool = False
    send_start_of_input: bool = False
    start_input_timers: bool = False
    status_url: WebUrl | None = None

    def order(self) -> StartCollect:
        """See `Params.order`."""
        return StartCollect(
            order=CollectOrder(
                control_id=self.control_id,
                rules=DigitRules(
                    max_digits=self.digits.max,
                    terminators=self.digits.terminators,
                    digit_timeout=self.digits.digit_timeout,
                    initial_timeout=self.initial_timeout,
                ),
                start_input_timers=self.start_input_timers,
                partial_results=self.partial_results,
                continuous=self.continuous,
                send_start_of_input=self.send_start_of_input,
                status_url=self.status_url,
            )
        )


class CollectStartInputTimers(Params):
    """Lets the time for the first key run."""

    control_id: ControlId

    def order(self) -> StartInputTimers:
        """See `Params.order`."""
        return StartInputTimers(control_id=self.control_id)


class CollectStop(Params):
    """Collects no more."""

    control_id: ControlId

    def order(self) -> StopCollect:
        """See `Params.order`."""
        return StopCollect(control_id=self.control_id)
