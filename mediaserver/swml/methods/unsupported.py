"""The methods of contract A7 that are understood and not carried out.

A document may have them in it: their parameters are checked, loosely where there is a world of them
inside, and the script fails when it comes to the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import Code, ScriptError, member
from .kinds import Choice, Flag, ListOf, Place, Whole
from .method import Method, Parameter
from .table import Table
from .texts import Line, Text, WebUrl


@dataclass(frozen=True, slots=True)
class Shape:
    """A value of one of some types, into which nobody looks."""

    types: tuple[type, ...]

    def read(self, value: Any, place: Place) -> Any:
        """Return the value."""
        if isinstance(value, self.types):
            return value
        names = {dict: "a map", list: "a list", str: "a text", bool: "true or false"}
        raise place.refuse("must be " + " or ".join(names[kind] for kind in self.types))


_MAP: Final = Shape((dict,))
_LIST: Final = Shape((list,))
_TEXT: Final = Shape((str,))

_AI: Final = (
    Parameter("prompt", _MAP, required=True),
    Parameter("global_data", _MAP),
    Parameter("params", _MAP),
    Parameter("post_prompt", _MAP),
    Parameter("post_prompt_url", WebUrl()),
    Parameter("SWAIG", _MAP),
)
_LEGS: Final = Choice(("remote-caller", "local-caller"))
_ONWARD: Final = Parameter("transfer_after_bridge", Text(), required=True)
_STATUS: Final = Parameter("status_url", WebUrl())
_PAIRS: Final = Table(
    "a parameter",
    (Parameter("name", _TEXT, required=True), Parameter("value", _TEXT, required=True)),
)


def _message(given: Mapping[str, Any], path: str) -> None:
    if "body" not in given and "media" not in given:
        missing = member(path, "body")
        raise ScriptError(Code.METHOD_PARAMETER_MISSING, missing, "body or media must be given")


AI: Final = Method(
    name="ai",
    parameters=(
        *_AI,
        Parameter("hints", _LIST),
        Parameter("languages", _LIST),
        Parameter("multilingual", _MAP),
        Parameter("pronounce", _LIST),
    ),
)
AI_SIDECAR: Final = Method(
    name="ai_sidecar",
    parameters=(
        Parameter("prompt", Shape((str, dict)), required=True),
        Parameter("lang", _TEXT, required=True),
        Parameter("model", _TEXT),
        Parameter("direction", ListOf(_LEGS, 2, 2)),
        Parameter("customer_role", _LEGS),
        Parameter("url", _TEXT),
        Parameter("SWAIG", _MAP),
        Parameter("permissions", _MAP),
        Parameter("global_data", _MAP),
        Parameter("hints", _LIST),
        Parameter("params", _MAP),
        Parameter("action", Shape((dict, list, str, bool))),
    ),
)
AMAZON_BEDROCK: Final = Method(name="amazon_bedrock", parameters=_AI)
DENOISE: Final = Method(name="denoise", parameters=())
ENTER_QUEUE: Final = Method(
    name="enter_queue",
    parameters=(
        Parameter("queue_name", Line(), required=True),
        _ONWARD,
        _STATUS,
        Parameter("wait_url", WebUrl()),
        Parameter("wait_time", Whole(minimum=1), default=3600),
    ),
)
JOIN_ROOM: Final = Method(name="join_room", parameters=(Parameter("name", Line(), required=True),))
LIVE_TRANSCRIBE: Final = Method(
    name="live_transcribe", parameters=(Parameter("action", Shape((dict, str)), required=True),)
)
LIVE_TRANSLATE: Final = Method(
    name="live_translate", parameters=(Parameter("action", Shape((dict, str)), required=True),)
)
PAY: Final = Method(
    name="pay",
    parameters=(
        Parameter("payment_connector_url", WebUrl(), required=True),
        Parameter("charge_amount", Text()),
        Parameter("currency", Text(), default="usd"),
        Parameter("description", Text()),
        Parameter("input", Choice(("dtmf",)), default="dtmf"),
        Parameter("language", Text(), default="en-US"),
        Parameter("max_attempts", Whole(minimum=1), default=1),
        Parameter("min_postal_code_length", Whole(minimum=0), default=0),
        Parameter("parameters", ListOf(_PAIRS, minimum=0)),
        Parameter("payment_method", Choice(("credit-card",)), default="credit-card"),
        Parameter("postal_code", Shape((bool, str)), default=True),
        Parameter("prompts", ListOf(_MAP, minimum=0)),
        Parameter("security_code", Flag(), default=True),
        _STATUS,
        Parameter("timeout", Whole(minimum=1), default=5),
        Parameter("token_type", Choice(("one-time", "reusable")), default="reusable"),
        Parameter("valid_card_types", Text(), default="visa mastercard amex"),
        Parameter("voice", Text(), default="woman"),
    ),
)
RECEIVE_FAX: Final = Method(name="receive_fax", parameters=(_STATUS,))
SEND_FAX: Final = Method(
    name="send_fax",
    parameters=(
        Parameter("document", WebUrl(), required=True),
        Parameter("header_info", Text()),
        Parameter("identity", Text()),
        _STATUS,
    ),
)
SEND_SMS: Final = Method(
    name="send_sms",
    parameters=(
        Parameter("to_number", Line(), required=True),
        Parameter("from_number", Line(), required=True),
        Parameter("body", Text()),
        Parameter("media", ListOf(WebUrl(), minimum=0)),
        Parameter("region", Text()),
        Parameter("tags", ListOf(Text(), minimum=0)),
        Parameter("status_callback", WebUrl()),
    ),
    rule=_message,
)
STOP_DENOISE: Final = Method(name="stop_denoise", parameters=())
TRANSCRIBE: Final = Method(name="transcribe", parameters=(_STATUS,))
TRANSCRIBE_STOP: Final = Method(name="transcribe_stop", parameters=())

UNSUPPORTED: Final = (
    AI,
    AI_SIDECAR,
    AMAZON_BEDROCK,
    DENOISE,
    ENTER_QUEUE,
    JOIN_ROOM,
    LIVE_TRANSCRIBE,
    LIVE_TRANSLATE,
    PAY,
    RECEIVE_FAX,
    SEND_FAX,
    SEND_SMS,
    STOP_DENOISE,
    TRANSCRIBE,
    TRANSCRIBE_STOP,
)
