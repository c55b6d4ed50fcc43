"""Where a document that a script names comes from."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .document import Document, Step


def is_url(dest: str) -> bool:
    """Tell whether a destination is an http(s) URL."""
    return dest[:8].lower().startswith(("http://", "https://"))


def inline_document(text: str, *, allow_files: bool) -> Document:
    """Return the document that a text is; raises ScriptError."""
    from .document import load  # which knows every method, this one's caller too

    return load(text, content_type="application/json", allow_files=allow_files)


def document_of(steps: tuple[Step, ...], *, allow_files: bool) -> Document:
    """Return a document whose `main` is some steps of another one."""
    from .document import MAIN, VERSION, Document

    return Document(VERSION, MappingProxyType({MAIN: steps}), allow_files, scripted=True)
