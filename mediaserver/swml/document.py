"""An SWML document: sections of steps, each checked when it is loaded (contract A6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from .errors import Code, ScriptError, item, member, quoted
from .methods.registry import find_method
from .methods.table import suggestion
from .tree import read_tree

VERSION: Final = "1.0.0"
MAIN: Final = "main"
"""The section that is run."""


_EXPRESSION: Final = re.compile(r"[$%]\{(?!\s*[A-Za-z_][\w.\[\]]*\s*\})")
"""What is no plain path in braces."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a method and its parameters as they are written."""

    method: str
    params: Any
    path: str
    """Of the method: `sections.main[2].record`."""
    blocks: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    """The steps written within it, such as the branches of `cond`, by their paths."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document whose steps are known to be right, as far as that shows before it is run."""

    version: str
    sections: Mapping[str, tuple[Step, ...]]
    allow_files: bool = True
    """Whether `play` may name local files: only where the document itself is one."""
    scripted: bool = False
    """Whether it may have JavaScript in it, so that a step may take its time."""


def load(
    text: bytes | str, *, content_type: str | None = None, allow_files: bool = True
) -> Document:
    """Read and check a document in YAML or JSON; raises ScriptError and nothing else.

    `content_type` is what came with it over HTTP. Pass `allow_files=False` for a document that
    was fetched: its author has no business with this machine's files.
    """
    tree = read_tree(text, content_type)
    if not isinstance(tree, dict):
        raise ScriptError(Code.ELEMENT_WRONG_TYPE, "", "the document must be a map")
    for name in tree:
        if name not in {"version", "sections"}:
            message = f"a document has version and sections, not {quoted(name)}"
            message += suggestion(name, ["version", "sections"]) or "; sections are in sections"
            raise ScriptError(Code.ELEMENT_UNDEFINED, member("", name), message)
    if tree.get("version", VERSION) != VERSION:
        raise ScriptError(Code.VERSION_INVALID, "version", f"must be {VERSION}")
    if tree.get("sections") is None:
        raise ScriptError(Code.SECTIONS_MISSING, "sections", "must be given")
    sections = tree["sections"]
    if not isinstance(sections, dict):
        raise ScriptError(Code.ELEMENT_WRONG_TYPE, "sections", "must be a map of sections")
    if MAIN not in sections:
        near = next((name for name in sections if name.lower() == MAIN), None)
        message = f"must be given, and is not {quoted(near)}" if near else "must be given"
        raise ScriptError(Code.MAIN_SECTION_MISSING, "sections.main", message)
    steps = {
        name: _section(code, member("sections", name), allow_files)
        for name, code in sections.items()
    }
    return Document(VERSION, MappingProxyType(steps), allow_files, _is_scripted(text))


def _is_scripted(text: bytes | str) -> bool:
    """Tell whether a document has, as far as its text tells, something to evaluate.

    The expression is looked for last, and only where a brace is: in a megabyte it takes 30 ms, in
    which nobody else runs.
    """
    text = text if isinstance(text, str) else text.decode("utf-8", "replace")
    if "when" in text:
        return True
    return ("${" in text or "%{" in text) and _EXPRESSION.search(text) is not None


def _section(code: Any, path: str, allow_files: bool) -> tuple[Step, ...]:
    if code is None or code == []:
        raise ScriptError(Code.SECTION_CODE_MISSING, path, "has no steps")
    if not isinstance(code, list):
        message = "must be a list of steps, each after a dash"
        raise ScriptError(Code.ELEMENT_WRONG_TYPE, path, message)
    return _block(code, path, allow_files)


def _block(steps: list[Any], path: str, allow_files: bool) -> tuple[Step, ...]:
    return tuple(_step(step, item(path, i), allow_files) for i, step in enumerate(steps))


def _step(step: Any, path: str, allow_files: bool) -> Step:
    if not isinstance(step, dict):
        message = "a step must be a map of one method, for instance hangup: {}"
        raise ScriptError(Code.ELEMENT_WRONG_TYPE, path, message)
    if not step:
        raise ScriptError(Code.METHOD_MISSING_NAME, path, "a step must name a method")
    if len(step) > 1:
        names = " and ".join(quoted(name) for name in list(step)[:3])
        message = (
            f"a step must have exactly one method, not {names}; parameters are indented further"
        )
        raise ScriptError(Code.ELEMENT_INVALID_VALUE, path, message)
    ((name, params),) = step.items()
    place = member(path, name)
    method = find_method(name, place)
    blocks = {
        where: _block(steps, where, allow_files)
        for where, steps in method.check(params, place, allow_files=allow_files)
    }
    return Step(name, params, place, blocks)
