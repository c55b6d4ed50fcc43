"""Which methods there are (contract A7), and which of them are carried out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ..errors import Code, ScriptError, quoted
from .answer import ANSWER
from .flow import COND, EXECUTE, GOTO, LABEL, RETURN, SWITCH, TRANSFER
from .hangup import HANGUP
from .method import Method, suggestion
from .play import PLAY
from .prompt import PROMPT
from .record import RECORD, RECORD_CALL, STOP_RECORD_CALL
from .request import REQUEST
from .send_digits import SEND_DIGITS
from .sleep import SLEEP
from .variables import SET, UNSET

METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        method.name: method
        for method in (
            ANSWER,
            COND,
            EXECUTE,
            GOTO,
            HANGUP,
            LABEL,
            PLAY,
            PROMPT,
            RECORD,
            RECORD_CALL,
            REQUEST,
            RETURN,
            SEND_DIGITS,
            SET,
            SLEEP,
            STOP_RECORD_CALL,
            SWITCH,
            TRANSFER,
            UNSET,
        )
    }
)

NOT_SUPPORTED: Final = frozenset(
    [
        "ai",
        "ai_sidecar",
        "amazon_bedrock",
        "connect",
        "denoise",
        "detect_machine",
        "enter_queue",
        "join_conference",
        "join_room",
        "live_transcribe",
        "live_translate",
        "pay",
        "receive_fax",
        "send_fax",
        "send_sms",
        "sip_refer",
        "stop_denoise",
        "stop_stream",
        "stop_tap",
        "stream",
        "tap",
        "transcribe",
        "transcribe_stop",
        "user_event",
    ]
)
"""Methods of the contract that this version does not carry out."""


def find_method(name: str, path: str) -> Method:
    """Return the method `name`; raises ScriptError with `path`, where it stands."""
    method = METHODS.get(name)
    if method is not None:
        return method
    if name in NOT_SUPPORTED:
        message = f"the method {name} is not supported by this version"
    else:
        message = f"there is no method {quoted(name)}{suggestion(name, list(METHODS))}"
    raise ScriptError(Code.METHOD_UNDEFINED, path, message)
