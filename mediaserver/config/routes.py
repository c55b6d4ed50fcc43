"""Which script a call gets, and where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
)

from .section import AsList, LongSeconds, Networks, Section
from .values import parse_http_url

LONGEST_FETCH: Final = 30.0
"""Seconds a caller can be made to wait for each of two web applications."""

REFUSALS: Final = {"busy": 486, "unavailable": 503}
"""What a caller can be told when there is no script, by its word."""


def is_url(source: str) -> bool:
    """Tell a script that is fetched from one that is a file."""
    return source.lower().startswith(("http://", "https://"))


def _script(source: str) -> str:
    return parse_http_url(source) if is_url(source) else source


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


Method = Annotated[Literal["POST", "GET"], BeforeValidator(_upper)]


class RouteRecording(Section):
    """What holds for the recordings made on a route's calls."""

    post_processing: Annotated[tuple[Literal["TRIM_SILENCE"], ...], AsList] = ()
    """What is done to their audio afterwards (contract B1)."""
    ready_uri: Annotated[str, PlainValidator(parse_http_url)] | None = Field(
        default=None, repr=False
    )
    """Where RECORDING_READY is sent (contract B6)."""
    retention: LongSeconds | None = None
    """Seconds after its end at which a recording is erased; None: `recording.retention`."""


class Route(Section):
    """Which script a call gets: both patterns must match, `*` matches anything."""

    to: Annotated[str, StringConstraints(min_length=1)]
    """User of the request URI, without escapes, compared exactly (RFC 3261 19.1.4)."""
    from_: Annotated[str, StringConstraints(min_length=1)] = Field(default="*", alias="from")
    """User of the From header's URI."""
    swml: Annotated[str, StringConstraints(min_length=1), AfterValidator(_script)] = Field(
        repr=False
    )
    """A file, or an http(s) URL (which may hold a password: not in repr)."""
    method: Method = "POST"
    """How the URL is asked."""
    fallback_url: Annotated[str, PlainValidator(parse_http_url)] | None = Field(
        default=None, repr=False
    )
    """What is asked when the URL gives no script that is right."""
    fallback_method: Method = "POST"
    timeout: Annotated[float, Field(gt=0, le=LONGEST_FETCH, allow_inf_nan=False)] = 5.0
    """Seconds that each of the two has to answer."""
    on_failure: Annotated[str, StringConstraints(min_length=1)] = "busy"
    """A word of `REFUSALS`, or the file of a script, for when neither gives one."""
    allow: Networks | None = None
    """Networks that scripts may be fetched from besides public ones; None: `outbound.allow`."""
    status_url: Annotated[str, PlainValidator(parse_http_url)] | None = Field(
        default=None, repr=False
    )
    """Where the script's own errors are reported."""
    recording: RouteRecording = RouteRecording()

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @property
    def is_url(self) -> bool:
        """Whether the script is fetched for every call rather than read from a file."""
        return is_url(self.swml)

    @property
    def refusal(self) -> int | None:
        """The SIP status of a call without a script; None: it gets `apology`."""
        return REFUSALS.get(self.on_failure)

    @property
    def apology(self) -> Path | None:
        """The script of a call whose own is not to be had; None: it is refused."""
        return Path(self.on_failure) if self.refusal is None else None

    def takes_all_of(self, other: Route) -> bool:
        """Tell whether every call that another route takes could be this one's."""
        return self.to in {"*", other.to} and self.from_ in {"*", other.from_}

    def matches(self, to: str, from_: str) -> bool:
        """Tell whether a call to user `to` from user `from_` is this route's."""
        return self.to in {"*", to} and self.from_ in {"*", from_}
