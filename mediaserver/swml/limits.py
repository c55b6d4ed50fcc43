"""What a script may grow to. Scripts come over the network and name each other's text."""

from __future__ import annotations

from typing import Final

MAX_DOCUMENT_BYTES: Final = 1 << 20
"""Of a document's text; long prompts fit, a recording sent by mistake does not."""

MAX_NODES: Final = 20_000
"""Values in a document, aliases counted as often as they are used: the end of alias bombs."""

MAX_DEPTH: Final = 32
"""Maps and lists in one another; a plain script has five."""

MAX_NUMBER: Final = 64
"""Characters of a number. Python reads longer ones in quadratic time."""

MAX_EXPRESSION: Final = 1024
"""Characters between the braces of `${...}` (contract A9)."""

MAX_REQUEST_BODY: Final = 65_536
"""Octets of what `request` sends, and of what it is answered (contract A8)."""

MAX_TRANSFERS: Final = 32
"""Of one call (contract A7)."""

MAX_FRAMES: Final = 64
"""Sections and blocks within one another."""

MAX_QUIET_STEPS: Final = 10_000
"""Steps in a row that do nothing to the call: jumps, conditions, variables."""

MAX_VARIABLES: Final = 1000
"""Variables a script sets by name; results of methods come on top."""

MAX_PATH_PARTS: Final = 32
"""Names and indexes in one path."""

MAX_TEXT: Final = 65_536
"""Characters of a text after variables were filled in."""

MAX_SPEECH: Final = 5000
"""Characters of a text that is spoken: about six minutes."""

MAX_URL: Final = 2048
"""Characters of a URL or file name; what browsers and proxies carry."""

MAX_PLAY_URLS: Final = 256
"""Entries of `play.urls`."""

MAX_DESTINATIONS: Final = 32
"""Of `connect`: called one after the other, or at the same time."""

MAX_LINE: Final = 256
"""Characters of names, identifiers and addresses."""

MAX_TOKEN: Final = 8192
"""Characters of a bearer token, which is a line of an HTTP request."""

MAX_ENTRIES: Final = 64
"""Of a map of the script's own that is sent on, such as `custom_parameters`."""

MAX_TERMINATORS: Final = 64
"""Characters of `record.terminators`, repeats included; there are 16 keys."""

MAX_SECONDS: Final = 1e9
"""Of any timeout: thirty years, so that sample positions stay exact integers."""

MAX_TONE_SECONDS: Final = 3600.0
"""Of `silence:` and `ring:`; they are made in memory."""

MAX_QUOTED: Final = 64
"""Characters of a script's own words repeated in an error."""
