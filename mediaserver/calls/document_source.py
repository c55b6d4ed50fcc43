"""Where the document of a call is to be had, and what is to be done when it is not."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Final, Literal

from ..addresses import Network
from ..errors import PeerError
from ..swml.document import Document
from ..swml.errors import ScriptError

FETCH_TIMEOUT: Final = 5.0
"""Seconds a web application has to answer with a document; the caller hears nothing meanwhile."""

BUSY: Final = 486
"""What a caller gets where there is no document, unless the operator decides otherwise.

A busy tone is understood by whoever hears it, who then calls again. A 5xx would have a trunk try
elsewhere, or hold the server itself for broken.
"""

Method = Literal["POST", "GET"]


def is_url(source: str) -> bool:
    """Tell a URL from a path."""
    return source[:8].lower().startswith(("http://", "https://"))


@dataclass(frozen=True, slots=True)
class DocumentSource:
    """Where a document is to be had, and what is to be done when it is not."""

    url: str
    """A path, or an http(s) URL."""
    _: KW_ONLY
    method: Method = "POST"
    fallback_url: str | None = None
    """An http(s) URL that is asked when `url` gives no document that is right."""
    fallback_method: Method = "POST"
    timeout: float = FETCH_TIMEOUT
    """Seconds that each of the two has."""
    on_failure: str | None = None
    """The path of a document for when neither does; None: the call is refused with `status`."""
    status: int = BUSY
    allow: tuple[Network, ...] | None = None
    """Networks that may be reached besides public addresses; None: those all fetches may reach."""

    @property
    def is_url(self) -> bool:
        """Whether web applications are asked, so that the rest of this matters."""
        return is_url(self.url)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a document was not to be had, or not to be run."""

    error: ScriptError
    status_urls: tuple[str, ...] = ()
    """Addresses in the document that want to know."""


@dataclass(frozen=True, slots=True)
class Found:
    """A document to be run."""

    document: Document
    folder: Path | None
    """Where files that it names are sought; None: it was fetched and may name none."""
    faults: tuple[Fault, ...] = ()
    """Of what was to be run rather."""


class NoDocument(PeerError):
    """There is none to be had from a `DocumentSource`; `status` is the answer it settles on."""

    def __init__(self, status: int, faults: tuple[Fault, ...]) -> None:
        super().__init__(status, "; then ".join(fault.error.message for fault in faults))
        self.faults = faults
