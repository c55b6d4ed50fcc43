"""The REST API of a running server, for commands."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from ..config import load
from ..errors import LocalError
from .usage import UsageFault


@dataclass(frozen=True, slots=True)
class Api:
    """A server's REST API and what opens it."""

    base: str
    project: str
    key: str

    @classmethod
    def of(cls, config: Path | None, server: str | None, key: str | None) -> Api:
        """Return the API the options name; LocalError if no key is to be found."""
        settings = load(config, os.environ)
        if key is None and settings.api_keys:
            key = settings.api_keys[0].key.get_secret_value()
        if key is None:
            raise LocalError(
                "no API key: give --key KEY, --config FILE with api_keys in it, "
                "or MEDIASERVER_API_KEYS in the environment"
            )
        base = (server or settings.http.base_url).rstrip("/")
        if not base.startswith(("http://", "https://")):
            raise UsageFault(f"--server: {base} is no URL such as http://127.0.0.1:8080")
        return cls(base, str(settings.project_id), key)

    def session(self) -> aiohttp.ClientSession:
        """Return an HTTP session that presents the key."""
        return aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.key}"})

    async def get(self, session: aiohttp.ClientSession, path: str, **query: str) -> dict[str, Any]:
        """Return the JSON at a path; LocalError with the server's own sentence if it refuses."""
        return await self._ask(session, "GET", path, query)

    async def delete(self, session: aiohttp.ClientSession, name: str) -> dict[str, Any]:
        """Delete the recording with a name, and return it; LocalError as for `get`."""
        return await self._ask(session, "DELETE", f"/v1beta1/{name}", {})

    async def _ask(
        self, session: aiohttp.ClientSession, method: str, path: str, query: dict[str, str]
    ) -> dict[str, Any]:
        try:
            async with session.request(method, f"{self.base}{path}", params=query) as response:
                body = await response.json(content_type=None)
                if response.status != 200:
                    raise LocalError(f"{response.status}: {body['error']['message']}")
                if not isinstance(body, dict):
                    raise TypeError
                return body
        except aiohttp.ClientConnectionError:
            raise LocalError(f"{self.base} cannot be reached: is the server running?") from None
        except (aiohttp.ClientError, ValueError, KeyError, TypeError):
            raise LocalError(f"{self.base} does not answer as a mediaserver") from None

    async def find(self, session: aiohttp.ClientSession, recording: str) -> dict[str, Any]:
        """Return the recording with a name, or an id, with all that is known of it."""
        return await self.get(session, f"/v1beta1/{self.name(recording)}", view="FULL")

    def name(self, recording: str) -> str:
        """Return the name of a recording, given that or its id."""
        if "/" in recording:
            return recording
        return f"projects/{self.project}/calls/-/recordings/{recording}"
