"""Which methods there are: all of contract A7."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ..errors import Code, ScriptError, quoted
from .answer import ANSWER
from .conference import JOIN_CONFERENCE
from .connect import CONNECT
from .detect_machine import DETECT_MACHINE
from .flow import COND, EXECUTE, GOTO, LABEL, RETURN, SWITCH, TRANSFER
from .hangup import HANGUP
from .method import Method, suggestion
from .play import PLAY
from .prompt import PROMPT
from .record import RECORD, RECORD_CALL, STOP_RECORD_CALL
from .request import REQUEST
from .send_digits import SEND_DIGITS
from .sip_refer import SIP_REFER
from .sleep import SLEEP
from .streams import STOP_STREAM, STOP_TAP, STREAM, TAP
from .unsupported import UNSUPPORTED
from .user_event import USER_EVENT
from .variables import SET, UNSET

METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        method.name: method
        for method in (
            ANSWER,
            COND,
            CONNECT,
            DETECT_MACHINE,
            EXECUTE,
            GOTO,
            HANGUP,
            JOIN_CONFERENCE,
            LABEL,
            PLAY,
            PROMPT,
            RECORD,
            RECORD_CALL,
            REQUEST,
            RETURN,
            SEND_DIGITS,
            SET,
            SIP_REFER,
            SLEEP,
            STOP_RECORD_CALL,
            STOP_STREAM,
            STOP_TAP,
            STREAM,
            SWITCH,
            TAP,
            TRANSFER,
            UNSET,
            USER_EVENT,
            *UNSUPPORTED,
        )
    }
)

ELSEWHERE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "call": "connect",
        "conference": "join_conference",
        "dial": "connect",
        "gather": "prompt",
        "input": "prompt",
        "pause": "sleep",
        "redirect": "transfer",
        "refer": "sip_refer",
        "reject": "hangup",
        "say": "play with say:TEXT",
        "wait": "sleep",
    }
)
"""Methods by the names that neighbouring languages have for them (contracts B5, C)."""


def find_method(name: str, path: str) -> Method:
    """Return the method `name`; raises ScriptError with `path`, where it stands."""
    method = METHODS.get(name)
    if method is not None:
        return method
    known = ELSEWHERE.get(name.lower())
    hint = f"; {known} does that" if known else suggestion(name, list(METHODS))
    message = f"there is no method {quoted(name)}{hint}"
    raise ScriptError(Code.METHOD_UNDEFINED, path, message)
