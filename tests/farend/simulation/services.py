"""The collaborators of calls, which take their time and are not always there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from mediaserver.audio.live_codec import LiveCodec
from mediaserver.calls.document_source import DocumentSource, Fault, Found, NoDocument
from mediaserver.calls.documents import DocumentRefused, Documents
from mediaserver.calls.ports import Fetched, RtpOutput, WebSocket
from mediaserver.errors import LocalError, PeerError
from mediaserver.recording.announcement import Announcement
from mediaserver.recording.rendering import Rendered, RenderJob
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.uri import SipUri
from mediaserver.swml.document import Document, load
from mediaserver.swml.errors import ScriptError
from mediaserver.swml.javascript import evaluate

from ..archive import Archive, Copyist, NoFetcher
from . import documents

if TYPE_CHECKING:
    from .town import Town

T = TypeVar("T")
SERVER = (documents.OURS, 5060)


class Engine:
    """Evaluates expressions at once."""

    def begin(self) -> None: ...

    def evaluate(self, expression: str, roots: Mapping[str, Any]) -> Any:
        return evaluate(expression, roots)


class Scripts:
    """`ScriptThread` without thread and process; a step still takes its time."""

    def __init__(self, random: Random) -> None:
        self.engine = Engine()
        self._random = random

    async def run(self, step: Callable[[], T]) -> T:
        await asyncio.sleep(self._random.choice([0.0, 0.01]))
        return step()


class Library(Documents):
    """Hands out random documents, or none, when it has thought about it."""

    def __init__(self, random: Random, town: Town) -> None:
        super().__init__(NoFetcher())
        self._random = random
        self._town = town
        self.given: list[dict[str, Any]] = []
        """What is handed out before anything at random."""

    async def fetch(self, source: DocumentSource, request: Mapping[str, Any]) -> Found:
        json.dumps(request)
        try:
            return Found(await self.load(source.url, request), None)
        except DocumentRefused as refused:
            raise NoDocument(500, (Fault(refused.error),)) from None
        except PeerError:
            raise NoDocument(486, ()) from None

    async def load(self, url: str, request: Mapping[str, Any], allow: object = None) -> Document:
        random = self._random
        if self.given:
            made = self.given.pop(0)
        else:
            await asyncio.sleep(random.choice([0.0, 0.0, 0.2, 2.0]))
            if random.random() < 0.05:
                raise PeerError(502, "nothing there")
            made = documents.document(random, confirm="confirm" in url)
        self._town.note(f"document {json.dumps(made)}")
        try:
            return load(json.dumps(made).encode(), content_type=None, allow_files=False)
        except ScriptError as error:
            raise DocumentRefused(error, ()) from None


class SlowWeb(NoFetcher):
    """Has nothing, and takes its time to say so."""

    def __init__(self, random: Random) -> None:
        self._random = random

    async def get(self, url: str, *, max_bytes: int, timeout: float) -> Fetched:  # noqa: ASYNC109
        await asyncio.sleep(self._random.choice([0.0, 0.2, 2.0]))
        raise PeerError(404, "nothing there")


class Outside:
    """Who listens along, over RTP or over WebSockets that get lost and say strange things."""

    def __init__(self, random: Random) -> None:
        self.open_now: set[object] = set()
        self._random = random

    def open(self, host: str, port: int, codec: LiveCodec) -> RtpOutput:
        if self._random.random() < 0.1:
            raise PeerError(400, "no such address")
        return _Listener(self.open_now)

    async def connect(self, url: str, **_: Any) -> WebSocket:
        await asyncio.sleep(self._random.choice([0.0, 0.2, 2.0]))
        if self._random.random() < 0.2:
            raise PeerError(502, "refused")
        return _Socket(self.open_now, self._random)


class _Listener:
    source = ("192.0.2.1", 30_000)

    def __init__(self, open_now: set[object]) -> None:
        self._open_now = open_now
        open_now.add(self)

    def send(self, number: int, samples: object) -> None: ...

    def close(self) -> None:
        self._open_now.remove(self)


class _Socket:
    def __init__(self, open_now: set[object], random: Random) -> None:
        self._open_now = open_now
        self._random = random
        open_now.add(self)

    async def send(self, message: str | bytes) -> None:
        if self._random.random() < 0.02:
            raise PeerError(502, "lost")

    async def receive(self) -> str | bytes | None:
        await asyncio.sleep(self._random.random() * 8)
        said = self._random.choice(
            [None, "?", '{"event":"clear"}', '{"event":"mark","mark":{"name":"m"}}', ""]
        )
        if said == "":
            raise PeerError(502, "lost")
        return said

    async def close(self) -> None:
        self._open_now.discard(self)
        await asyncio.sleep(self._random.choice([0.0, 0.1]))


class SlowArchive(Archive):
    """Takes a moment for everything."""

    async def announce(self, announcements: Any) -> None:
        await asyncio.sleep(0.001)
        self.announced += announcements
        await super().announce(announcements)

    def __init__(self) -> None:
        super().__init__()
        self.announced: list[Announcement] = []


class SlowCopyist(Copyist):
    """Makes files in a while, and sometimes not."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    async def render(self, job: RenderJob) -> Rendered:
        await asyncio.sleep(self._random.choice([0.0, 0.1, 5.0]))
        if self._random.random() < 0.05:
            raise LocalError("the encoder is gone")
        return await super().render(job)


class Names:
    """Where hosts are."""

    def __init__(self, random: Random) -> None:
        self._random = random

    async def resolve(self, target: SipUri) -> list[Hop]:
        random = self._random
        await asyncio.sleep(random.choice([0.0, 0.01, 1.0]))
        if target.host == documents.NOWHERE:
            raise LocalError(f"{target.host} cannot be resolved")
        hops = [Hop(Transport.UDP, SERVER, (target.host, target.port or 5060))]
        if random.random() < 0.1:
            hops.insert(0, Hop(Transport.UDP, SERVER, (documents.DEAD, 5060)))
        return hops

    def detours(self, target: SipUri, hops: list[Hop]) -> dict[Hop, Hop]:
        return {}  # nobody in this town listens to TCP
