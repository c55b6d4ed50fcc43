"""What is carried out on a call: where its document is, or the document itself."""

from __future__ import annotations

from dataclasses import dataclass

from ..addresses import Network
from ..swml.document import Document
from .document_source import DocumentSource


@dataclass(frozen=True, slots=True)
class Source:
    """A document, or where it is; and who hears of its faults."""

    document: DocumentSource | Document
    status_url: str | None = None

    @property
    def allow(self) -> tuple[Network, ...] | None:
        """Where its route lets documents be fetched from, as in `DocumentSource`."""
        document = self.document
        return None if isinstance(document, Document) else document.allow
