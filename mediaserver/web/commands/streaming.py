"""`calling.stream` and its end."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from mediaserver.calls.commands.streaming import StartStream, StopStream
from mediaserver.calls.streaming import StreamOrder
from mediaserver.swml.limits import MAX_TOKEN

from .part import ControlId, Line, Params, SocketUrl, WebUrl

Token = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN)]


class Stream(Params):
    """Sends a call's audio to a WebSocket server, in messages."""

    control_id: ControlId
    url: SocketUrl
    name: Line | None = None
    codec: Line | None = None
    track: Literal["inbound_track", "outbound_track", "both_tracks"] = "inbound_track"
    authorization_bearer_token: Token | None = Field(default=None, repr=False)
    custom_parameters: dict[str, Any] = Field(default_factory=dict)
    status_url: WebUrl | None = None
    status_url_method: Literal["GET", "POST"] = "POST"

    def order(self) -> StartStream:
        """See `Params.order`."""
        return StartStream(
            order=StreamOrder(
                url=self.url,
                control_id=self.control_id,
                name=self.name,
                codec=self.codec,
                track=self.track,
                authorization_bearer_token=self.authorization_bearer_token,
                custom_parameters=self.custom_parameters,
                status_url=self.status_url,
                status_url_method=self.status_url_method,
            )
        )


class StreamStop(Params):
    """Ends a stream."""

    control_id: ControlId

    def order(self) -> StopStream:
        """See `Params.order`."""
        return StopStream(control_id=self.control_id)
