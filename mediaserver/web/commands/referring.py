"""`calling.refer`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mediaserver.calls.commands.referring import ReferCall
from mediaserver.calls.referring import ReferOrder
from mediaserver.sip.digest import Credentials

from .fault import absent
from .part import Line, Params, Part, WebUrl
from .party import SipAddress


class SipParams(Part):
    """`device.params` of `calling.refer`."""

    to: SipAddress
    username: Line | None = None
    password: Line | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.username is None) != (self.password is None):
            name = "password" if self.password is None else "username"
            raise absent(f"device.params.{name}", "is required: it goes with the other")
        return self


class Device(Part):
    """`device` of `calling.refer`."""

    type: Literal["sip"]
    params: SipParams


class Refer(Params):
    """Asks the far end to call somebody else, by REFER."""

    device: Device
    status_url: WebUrl | None = None

    def order(self) -> ReferCall:
        """See `Params.order`."""
        given = self.device.params
        credentials = None
        if given.username is not None and given.password is not None:
            credentials = Credentials(given.username, given.password)
        order = ReferOrder(to=given.to, credentials=credentials, status_url=self.status_url)
        return ReferCall(order=order)
