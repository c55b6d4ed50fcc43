"""All calls there are and were: what the database has, and how far those are that are up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .exchange import Exchange
from .resource import CallPage, CallQuery, CallRecord


class CallArchive(Protocol):
    """Where calls are kept."""

    async def get(self, project_id: str, call_id: str) -> CallRecord | None:
        """Return a project's call."""

    async def page(
        self,
        project_id: str,
        query: CallQuery,
        size: int,
        token: str | None = None,
        live: Sequence[CallRecord] = (),
    ) -> CallPage:
        """Return a page of calls; `live` are those that are up.

        PeerError 400 for a token that is not one of this list.
        """


class CallBook:
    """Finds calls, whether they are up or over."""

    def __init__(self, archive: CallArchive, exchange: Exchange, project_id: str) -> None:
        self._archive = archive
        self._exchange = exchange
        self._project_id = project_id

    async def get(self, call_id: str) -> CallRecord | None:
        """Return a call."""
        call = self._exchange.find(call_id)
        if call is not None:
            return call.resource
        return await self._archive.get(self._project_id, call_id)

    async def page(self, query: CallQuery, size: int, token: str | None = None) -> CallPage:
        """Return a page of calls, newest first; PeerError 400 for a token of another list."""
        live = self._exchange.records()
        return await self._archive.page(self._project_id, query, size, token, live)
