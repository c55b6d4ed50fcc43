"""Fetching for calls: what `calls.ports.Fetcher` asks for, every POST signed."""

from __future__ import annotations

from .outbound import Fetched, Fetcher
from .signatures import Signer


class SignedFetcher:
    """Fetches documents and media, every POST signed (contract A11)."""

    def __init__(self, fetcher: Fetcher, signer: Signer) -> None:
        self._fetcher = fetcher
        self._signer = signer

    async def get(self, url: str, *, max_bytes: int, timeout: float) -> Fetched:  # noqa: ASYNC109
        """See `Fetcher.get`."""
        return await self._fetcher.get(url, max_bytes=max_bytes, timeout=timeout)

    async def post(
        self,
        url: str,
        *,
        body: bytes,
        max_bytes: int,
        timeout: float,  # noqa: ASYNC109
    ) -> Fetched:
        """See `Fetcher.post`."""
        return await self._fetcher.post(
            url, body, max_bytes=max_bytes, timeout=timeout, signer=self._signer
        )

    async def close(self) -> None:
        """See `Fetcher.close`."""
        await self._fetcher.close()
