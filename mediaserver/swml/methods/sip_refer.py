"""`sip_refer`: send the far end elsewhere (contract A8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..actions import SipRefer
from .addresses import SipAddress
from .method import Method, Parameter
from .texts import Line, WebUrl


def _build(values: Mapping[str, Any]) -> SipRefer:
    return SipRefer(**values)


SIP_REFER: Final = Method(
    name="sip_refer",
    parameters=(
        Parameter("to_uri", SipAddress(), required=True),
        Parameter("status_url", WebUrl()),
        Parameter("username", Line()),
        Parameter("password", Line()),
    ),
    build=_build,
    outcome="sip_refer_result",
)
