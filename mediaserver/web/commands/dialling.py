"""`dial`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from mediaserver.calls.call_state import CallState, StateWatch
from mediaserver.calls.commands.dialling import DialCall
from mediaserver.calls.dialing import NotDialled, dialled_number
from mediaserver.sip.digest import Credentials
from mediaserver.swml.limits import MAX_LINE

from .fault import absent, conflict
from .part import Line, Params, WebUrl
from .party import Callee, Caller, is_sip
from .script import Inline, source

MAX_CODECS: Final = 16
MAX_VARIABLES: Final = 20
MAX_VARIABLE: Final = 1024
"""Octets of the value of a custom variable."""
MAX_VARIABLE_NAME: Final = 64

RESERVED: Final = ("signalwire_", "sw_", "rtc_", "internal_")
"""What the name of a custom variable must not begin with."""

_CODEC_PATTERN: Final = "(?:OPUS(?:@(?:48|24|16|8)000H@20I)?|G722|PCMU|PCMA|G729|VP8|H264)"
_CODEC: Final = re.compile(_CODEC_PATTERN)
_DIGITS: Final = re.compile(r"[0-9A-Da-d*#Ww,]+")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _codecs(value: Any) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if isinstance(names, list) and 0 < len(names) <= MAX_CODECS:
        spelled = [name.strip().upper() if isinstance(name, str) else "" for name in names]
        if all(_CODEC.fullmatch(name) for name in spelled):
            return tuple(spelled)
    raise ValueError(
        f"must be 1 to {MAX_CODECS} of OPUS, OPUS@48000H@20I (or 24000, 16000, 8000), G722, PCMU,"
        " PCMA, G729, VP8, H264, in a list or with commas between them"
    )


def _digits(text: str) -> str:
    if not _DIGITS.fullmatch(text):
        raise ValueError("must have the keys 0-9, A-D, * and #, and w, W or a comma to wait")
    return text


def _variables(given: dict[str, str]) -> dict[str, str]:
    if len(given) > MAX_VARIABLES:
        raise ValueError(f"must have {MAX_VARIABLES} entries at most")
    for name, value in given.items():
        if len(name) > MAX_VARIABLE_NAME or not _VARIABLE.fullmatch(name):
            raise ValueError("must have names of letters, digits and _ that begin with no digit")
        if name.startswith(RESERVED):
            raise ValueError(f"must have no name that begins with {', '.join(RESERVED)}")
        if len(value.encode()) > MAX_VARIABLE:
            raise ValueError(f"must have values of {MAX_VARIABLE} octets at most")
    return given


Codecs = Annotated[
    tuple[str, ...],
    PlainValidator(_codecs),
    WithJsonSchema(
        {
            "description": "Names, best first: in a list, or with commas between them.",
            "oneOf": [
                {
                    "type": "array",
                    "items": {"type": "string", "pattern": f"^{_CODEC_PATTERN}$"},
                    "minItems": 1,
                    "maxItems": MAX_CODECS,
                },
                {"type": "string", "pattern": f"^{_CODEC_PATTERN}(?:,{_CODEC_PATTERN}){{0,15}}$"},
            ],
        }
    ),
]

Digits = Annotated[
    str,
    StringConstraints(max_length=MAX_LINE),
    AfterValidator(_digits),
    Field(json_schema_extra={"pattern": "^[0-9A-Da-d*#Ww,]+$"}),
]
"""Keys; `w` and a comma wait half a second, `W` a second."""

CustomVariables = Annotated[
    dict[str, str],
    AfterValidator(_variables),
    Field(
        json_schema_extra={
            "maxProperties": MAX_VARIABLES,
            "propertyNames": {
                "pattern": "^(?!signalwire_|sw_|rtc_|internal_)[A-Za-z_][A-Za-z0-9_]*$",
                "maxLength": MAX_VARIABLE_NAME,
            },
        }
    ),
]

StateName = Literal["created", "ringing", "answered", "ended"]


class Dial(Params):
    """Calls somebody, and carries a SWML document out once the call is answered."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": ["from", "to"],
            "oneOf": [{"required": ["url"]}, {"required": ["swml"]}],
            "dependentRequired": {"username": ["password"], "password": ["username"]},
        }
    )

    from_: Caller = Field(alias="from")
    to: Callee | None = None
    url: WebUrl | None = None
    swml: Inline | None = None
    to_script: Annotated[str, StringConstraints(max_length=MAX_LINE)] | None = None
    caller_id: Line | None = None
    username: Line | None = None
    password: Line | None = Field(default=None, repr=False)
    fallback_url: WebUrl | None = None
    status_url: WebUrl | None = None
    status_events: list[StateName] = Field(default=["ended"], max_length=8)
    url_method: Literal["GET", "POST"] = "POST"
    codecs: Codecs = ()
    timeout: Annotated[int, Field(ge=1, le=600)] = 60
    max_price_per_minute: Annotated[float, Field(ge=0)] | None = None
    send_digits: Digits | None = None
    region: Line | None = None
    custom_variables: CustomVariables = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.to is None:
            why = ": to_script is not carried out by this server" if self.to_script else ""
            raise absent("to", f"is required{why}")
        if self.url is None and self.swml is None:
            raise absent("url", "is required, or swml")
        if self.url is not None and self.swml is not None:
            raise conflict("swml", "cannot be given together with url")
        if (self.username is None) != (self.password is None):
            other = "password" if self.password is None else "username"
            raise absent(other, "is required: username and password go together")
        return self

    def order(self) -> DialCall:
        """See `Params.order`."""
        assert self.to is not None
        from_, name = self.from_, ""
        if self.caller_id is not None:
            if _is_address(self.caller_id):
                from_ = self.caller_id
            else:
                name = self.caller_id
        credentials = None
        if self.username is not None and self.password is not None:
            credentials = Credentials(self.username, self.password)
        watch = None
        if self.status_url is not None:
            watch = StateWatch(self.status_url, frozenset(map(CallState, self.status_events)))
        return DialCall(
            to=self.to,
            from_=from_,
            from_name=name,
            source=source(self.url, self.swml, self.fallback_url, self.status_url, self.url_method),
            codecs=self.codecs,
            credentials=credentials,
            timeout=self.timeout,
            watch=watch,
            digits=self.send_digits or "",
            envs=self.custom_variables,
        )


def _is_address(text: str) -> bool:
    """Tell a number or a SIP URI from a name."""
    if is_sip(text):
        return True
    try:
        dialled_number(text)
    except NotDialled:
        return False
    return True
