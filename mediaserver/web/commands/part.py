"""What the parameters of commands are made of (contract A4).

The defaults of this surface are its own and shared with no other (D3, D4).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from mediaserver.swml.limits import MAX_LINE, MAX_SECONDS, MAX_TERMINATORS
from mediaserver.swml.methods.addresses import SOCKET_SCHEMES
from mediaserver.swml.source import web_url

MAX_CONTROL_ID: Final = 256
"""Characters of a control id."""

MAX_CALL_ID: Final = 64
"""Characters of the id of a call; ours have 36."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must have printable characters only")
    return text


def _socket(text: str) -> str:
    url = web_url(text, SOCKET_SCHEMES)
    if url is None:
        raise ValueError("must be a valid wss or ws url")
    return url


def _web(text: str) -> str:
    url = web_url(text)
    if url is None:
        raise ValueError("must be a valid http or https url")
    return url


ControlId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_CONTROL_ID),
    AfterValidator(_printable),
]
"""What further commands call something by that runs on a call."""

Line = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_LINE), AfterValidator(_printable)
]
"""A name or an address."""

WebUrl = Annotated[
    str,
    AfterValidator(_web),
    Field(json_schema_extra={"format": "uri", "pattern": "^[hH][tT][tT][pP][sS]?://"}),
]
"""An http or https URL; its scheme comes out in lower case."""

SocketUrl = Annotated[
    str,
    AfterValidator(_socket),
    Field(json_schema_extra={"format": "uri", "pattern": "^[wW][sS][sS]?://"}),
]
"""The URL of a WebSocket server; its scheme comes out in lower case."""

Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS)]

Keys = Annotated[str, StringConstraints(max_length=MAX_TERMINATORS, pattern="^[0-9A-Da-d*#]*$")]


class Part(BaseModel):
    """An object in a command: what it does not know is refused, and nothing is converted."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_by_alias=True,
        validate_by_name=False,
    )


class Params(Part, ABC):
    """The `params` of one command."""

    @abstractmethod
    def order(self) -> Any:
        """Return what is to be done, an order of `mediaserver.calls.commands`."""
