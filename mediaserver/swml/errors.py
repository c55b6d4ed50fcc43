"""What is wrong with a script: a code of contract A13, a JSON path and a sentence."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Final

from ..errors import PeerError
from .limits import MAX_QUOTED


class Code(StrEnum):
    """The `script_error` codes of the contract."""

    PARSE_ERROR = "relay_script_parse_error"
    PARSE_INTERNAL_ERROR = "relay_script_parse_internal_error"
    VERSION_INVALID = "relay_script_version_invalid"
    SECTIONS_MISSING = "relay_script_sections_missing"
    MAIN_SECTION_MISSING = "relay_script_main_section_missing"
    SECTION_CODE_MISSING = "relay_script_section_code_missing"
    SECTION_PARAMETER_UNDEFINED = "relay_script_section_parameter_undefined"
    ELEMENT_UNDEFINED = "relay_script_element_undefined"
    ELEMENT_WRONG_TYPE = "relay_script_element_wrong_type"
    ELEMENT_INVALID_VALUE = "relay_script_element_invalid_value"
    ELEMENT_DUPLICATED = "relay_script_element_duplicated"
    METHOD_MISSING_NAME = "relay_script_method_missing_name"
    METHOD_UNDEFINED = "relay_script_method_undefined"
    METHOD_PARAMETER_MISSING = "relay_script_method_parameter_missing"
    METHOD_PARAMETER_INVALID_VALUE = "relay_script_method_parameter_invalid_value"
    METHOD_PARAMETER_UNDEFINED = "relay_script_method_parameter_undefined"
    METHOD_PARAMETER_CONFLICT = "relay_script_method_parameter_conflict"
    METHOD_NO_MATCHING_CONDITION = "relay_script_method_no_matching_condition"
    METHOD_EXECUTE_FAILED = "relay_script_method_execute_failed"
    JS_EVAL_ERROR = "relay_script_js_eval_error"
    NESTED_TOO_DEEP = "relay_script_nested_too_deep"
    TOO_MANY_TRANSFERS = "relay_script_too_many_transfers"
    INTERNAL_ERROR = "relay_script_internal_error"


class ScriptError(PeerError):
    """A script cannot be read or a step of it cannot be carried out.

    `path` is where, for instance `sections.main[2].record.beep`; empty for the whole document.
    """

    def __init__(self, code: Code, path: str, message: str) -> None:
        place = f"{path}: " if path else ""
        super().__init__(400, f"{place}{message} ({code})")
        self.code = code
        self.path = path
        self.message = message

    def __str__(self) -> str:
        return self.reason


_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def quoted(text: str) -> str:
    """Return a script's own word for an error: in quotes, on one line, in ASCII, not too long."""
    return json.dumps(text[:MAX_QUOTED])


def member(path: str, key: str) -> str:
    """Return the path of `key` in the map at `path`."""
    if len(key) > MAX_QUOTED or not _PLAIN.fullmatch(key):
        return f"{path}[{quoted(key)}]"
    return f"{path}.{key}" if path else key


def item(path: str, index: int) -> str:
    """Return the path of an element of the list at `path`, counted from 0."""
    return f"{path}[{index}]"
