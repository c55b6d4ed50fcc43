"""Steps of a document that lead nowhere: labels and sections that are not there.

Such a document is right by the contract, and fails at the step (A13). Whoever writes it may be told
before, as far as it shows without running it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from .document import Document, Step
from .document_source import inline_document, is_url
from .errors import ScriptError, member, quoted
from .expression import has_variable
from .methods.flow import no_section
from .methods.table import suggestion

_DESTINATIONS: Final = {
    "execute": "dest",
    "transfer": "dest",
    "connect": "transfer_after_bridge",
}
"""The parameters that name a section, by their method."""


def loose_ends(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the path of each parameter that leads nowhere, and what would be right.

    What a call's variables decide is left out.
    """
    for steps in document.sections.values():
        yield from _of_steps(steps, (), document)


def _of_steps(
    steps: tuple[Step, ...], around: tuple[str, ...], document: Document
) -> Iterator[tuple[str, str]]:
    """Go through steps; `around` are the labels of the blocks that they stand in."""
    labels = (*around, *(step.params for step in steps if step.method == "label"))
    for step in steps:
        if step.method == "goto":
            yield from _of_goto(step, labels)
        elif step.method in _DESTINATIONS and isinstance(step.params, dict):
            name = _DESTINATIONS[step.method]
            yield from _of_destination(step.params.get(name), member(step.path, name), document)
        yield from chain.from_iterable(
            _of_steps(block, labels, document) for block in step.blocks.values()
        )


def _of_goto(step: Step, labels: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    label = step.params["label"]
    if label not in labels:
        near = suggestion(label, list(labels))
        yield (
            member(step.path, "label"),
            f"there is no label {quoted(label)} in this section, or in the blocks around{near}",
        )


def _of_destination(dest: Any, path: str, document: Document) -> Iterator[tuple[str, str]]:
    if not isinstance(dest, str) or has_variable(dest) or is_url(dest := dest.strip()):
        return
    if not dest.startswith("{"):
        if dest not in document.sections:
            yield path, no_section(dest, list(document.sections))
        return
    try:
        inner = inline_document(dest, allow_files=document.allow_files)
    except ScriptError as error:
        yield path, f"the document in it is refused: {error}"
    else:
        for where, why in loose_ends(inner):
            yield path, f"in the document in it: {where}: {why}"
