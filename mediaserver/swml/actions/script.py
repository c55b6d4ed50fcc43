"""What concerns the script itself: another document, its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..document import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchDocument:
    """Fetch a document by a POST of contract A10's body and tell `arrived`."""

    url: str
    params: Mapping[str, Any]
    path: str
    """Of the step, for errors."""
    arrived: Callable[[Document], None] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """There is nothing left to do: the end of `main`, or a hang-up carried out."""
