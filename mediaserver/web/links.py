"""The URLs recordings are downloaded from: a constant one that needs a key, and one that is a key.

The second is the `audio[].uri` of contract B1: it works for 60 minutes, for whoever has it. What
is signed is method, path, format, rendition and expiry. The path is ours alone: a proxy in front
may add to it. The key is derived from the signing key, so that a signature made for a callback
opens nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from mediaserver.clock import Clock
from mediaserver.recording.resource import Audio

LIFETIME: Final = 3600
"""Seconds a signed URL works (contract B1)."""

_PURPOSE: Final = b"mediaserver: download links, version 2"


_PATH: Final = re.compile(r"/api/v1/recordings/([^/]+)/download")


def download_path(recording_id: str) -> str:
    """Return the path a recording is downloaded from."""
    return f"/api/v1/recordings/{recording_id}/download"


def download_url(public_url: str, recording_id: str) -> str:
    """Return the constant URL of a recording, known before it has audio; it needs an API key."""
    return public_url.rstrip("/") + download_path(recording_id)


class Links:
    """Makes download URLs and checks those that come back."""

    def __init__(self, public_url: str, signing_key: str, clock: Clock) -> None:
        self._public_url = public_url
        self._key = hmac.digest(signing_key.encode(), _PURPOSE, "sha256")
        self._clock = clock

    def signed(self, recording_id: str, audio: Audio) -> str:
        """Return a URL that opens one file of a recording for the next 60 minutes."""
        return self._signed(recording_id, audio.format.value, str(audio.rendition))

    def renewed(self, url: str) -> str:
        """Return a URL that was signed here, however long ago, as `signed` would make it now.

        One that is none of ours is returned as it is.
        """
        parts = urlsplit(url)
        path, query = _PATH.search(parts.path), dict(parse_qsl(parts.query))
        if path is None or not {"format", "rendition"} <= set(query):
            return url
        return self._signed(path[1], query["format"], query["rendition"])

    def opens(
        self, recording_id: str, format: str, rendition: str, expires: str, signature: str
    ) -> bool:
        """Tell whether these are the parts of a URL that was signed here and still works."""
        expected = self._signature(recording_id, format, rendition, expires)
        if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
            return False
        # Ours, so it is a number.
        return self._clock.time() <= int(expires)

    def _signed(self, recording_id: str, format: str, rendition: str) -> str:
        expires = str(math.ceil(self._clock.time()) + LIFETIME)
        query = {
            "format": format,
            "rendition": rendition,
            "expires": expires,
            "signature": self._signature(recording_id, format, rendition, expires),
        }
        return f"{download_url(self._public_url, recording_id)}?{urlencode(query)}"

    def _signature(self, recording_id: str, format: str, rendition: str, expires: str) -> str:
        signed = f"GET\n{download_path(recording_id)}\n{format}\n{rendition}\n{expires}"
        message = signed.encode(errors="surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()
