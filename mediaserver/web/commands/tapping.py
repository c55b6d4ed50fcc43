"""`calling.tap` and its end."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mediaserver.calls.commands.tapping import StartTap, StopTap
from mediaserver.calls.tapping import TapOrder
from mediaserver.recording.resource import Direction

from .part import ControlId, Line, Params, Part, SocketUrl, WebUrl


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError("must be an IP address") from None


Codec = Literal["PCMU", "PCMA", "OPUS", "pcmu", "pcma", "opus"]
Ptime = Annotated[int, Field(ge=10, le=120, multiple_of=10)]


class TapParams(Part):
    """`tap.params`."""

    direction: Literal["listen", "speak", "both"]


class TappedAudio(Part):
    """`tap` of `calling.tap`."""

    type: Literal["audio"]
    params: TapParams


class RtpParams(Part):
    """Where packets go. What is not given is as on the call."""

    addr: Annotated[Line, AfterValidator(_address)]
    port: Annotated[int, Field(ge=1, le=65535)]
    codec: Codec | None = None
    ptime: Ptime | None = None


class RtpDevice(Part):
    """A receiver of RTP."""

    type: Literal["rtp"]
    params: RtpParams

    @property
    def uri(self) -> str:
        """Where the tap goes."""
        host = f"[{self.params.addr}]" if ":" in self.params.addr else self.params.addr
        return f"rtp://{host}:{self.params.port}"

    @property
    def ptime(self) -> int | None:
        """Milliseconds of a packet."""
        return self.params.ptime


class SocketParams(Part):
    """Where messages go. The codec is that of the call if none is given."""

    uri: SocketUrl
    codec: Codec | None = None


class SocketDevice(Part):
    """A WebSocket server."""

    type: Literal["ws"]
    params: SocketParams

    @property
    def uri(self) -> str:
        """Where the tap goes."""
        return self.params.uri

    @property
    def ptime(self) -> int | None:
        """Milliseconds of a message."""
        return None


class Tap(Params):
    """Sends a copy of a call's audio away."""

    control_id: ControlId
    tap: TappedAudio
    device: Annotated[RtpDevice | SocketDevice, Field(discriminator="type")]
    status_url: WebUrl | None = None

    def order(self) -> StartTap:
        """See `Params.order`."""
        codec = self.device.params.codec
        return StartTap(
            order=TapOrder(
                uri=self.device.uri,
                control_id=self.control_id,
                direction=Direction(self.tap.params.direction),
                status_url=self.status_url,
            ),
            codec=None if codec is None else codec.upper(),
            ptime=self.device.ptime,
        )


class TapStop(Params):
    """Ends a tap."""

    control_id: ControlId

    def order(self) -> StopTap:
        """See `Params.order`."""
        return StopTap(control_id=self.control_id)
