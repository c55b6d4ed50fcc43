"""`join_conference`: talk with several (contract A8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..actions import JoinConference
from .branches import Result, follow
from .kinds import Choice, Flag, Whole
from .method import Method, Parameter
from .streams import Target
from .texts import Line, WebUrl, Words

if TYPE_CHECKING:
    from ..document import Step
    from ..machine import Machine

EVENTS: Final = (
    "start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement",
)  # fmt: skip
_HTTP: Final = Choice(("GET", "POST"))
_EVENT_TYPE: Final = Choice(("cxml", "laml", "relay"))


_NOT_DONE: Final = frozenset(
    ("result", "status_callback_event_type", "recording_status_callback_event_type")
)
"""Parameters that are not for whoever carries the step out: events are always as of `relay`."""


def _build(values: Mapping[str, Any]) -> JoinConference:
    return JoinConference(
        **{name: value for name, value in values.items() if name not in _NOT_DONE}
    )


def _after(values: Mapping[str, Any], step: Step, machine: Machine) -> None:
    machine.advance()
    follow(values["result"], machine, step.path, "join_conference_result")


JOIN_CONFERENCE: Final = Method(
    name="join_conference",
    parameters=(
        Parameter("name", Line(), required=True),
        Parameter("muted", Flag(), default=False),
        Parameter("beep", Choice(("true", "false", "onEnter", "onExit")), default="true"),
        Parameter("start_on_enter", Flag(), default=True),
        Parameter("end_on_exit", Flag(), default=False),
        Parameter("wait_url", WebUrl()),
        Parameter("max_participants", Whole(minimum=2, maximum=100_000), default=100_000),
        Parameter(
            "record", Choice(("do-not-record", "record-from-start")), default="do-not-record"
        ),
        Parameter("region", Choice(("global", "us", "eu", "ch"))),
        Parameter("trim", Choice(("trim-silence", "do-not-trim")), default="trim-silence"),
        Parameter("coach", Line()),
        Parameter("status_callback_event", Words(EVENTS, commas=False), default=frozenset()),
        Parameter("status_callback_event_type", _EVENT_TYPE, used=False),
        Parameter("status_callback", WebUrl()),
        Parameter("status_callback_method", _HTTP, default="POST"),
        Parameter("recording_status_callback", WebUrl()),
        Parameter("recording_status_callback_method", _HTTP, default="POST"),
        Parameter(
            "recording_status_callback_event",
            Words(("in-progress", "completed", "absent"), commas=False),
            default=frozenset(),
        ),
        Parameter("recording_status_callback_event_type", _EVENT_TYPE, used=False),
        Parameter("result", Result(variable_required=True)),
        Parameter("stream", Target()),
    ),
    build=_build,
    after=_after,
    outcome="join_conference_result",
)
