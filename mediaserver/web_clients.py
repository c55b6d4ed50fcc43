"""What a server asks of others over the web and tells them, put together."""

from __future__ import annotations

import contextlib
import secrets

from .clock import Clock
from .config import Config
from .recording.announcement import Kind
from .web.delivery import Delivery, OutboxQueue
from .web.fetcher import Fetcher
from .web.links import Links
from .web.manner import query_manner, ready_manner, status_manner
from .web.outbound import OutboundGuard, Poster
from .web.requester import Requester
from .web.schedule import Schedule
from .web.signatures import EnfonicaSigner, Signer, derived_enfonica_key
from .web.websocket import WebSockets


class WebClients:
    """Open until `stack` is closed; `delivery` begins when it is started."""

    def __init__(
        self,
        config: Config,
        links: Links,
        outbox: OutboxQueue,
        clock: Clock,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        guard = OutboundGuard(config.outbound.allow)
        stack.push_async_callback(guard.close)
        signer = Signer(config.signing_key.get_secret_value())
        self.fetcher = Fetcher(guard, signer)
        stack.push_async_callback(self.fetcher.close)
        self.requester = Requester(guard)
        stack.push_async_callback(self.requester.close)
        self.web_sockets = WebSockets(guard, config.outbound.allow)
        stack.push_async_callback(self.web_sockets.close)
        poster = Poster(guard)
        stack.push_async_callback(poster.close)
        schedule = Schedule(config.callbacks.schedule, secrets.SystemRandom().random)
        self.delivery = Delivery(
            outbox,
            poster,
            {
                Kind.STATUS: status_manner(signer, schedule),
                Kind.QUERY: query_manner(signer, schedule),
                Kind.READY: ready_manner(EnfonicaSigner(_enfonica_key(config)), links),
            },
            clock,
            config.callbacks.timeout,
        )


def _enfonica_key(config: Config) -> bytes:
    if config.enfonica_signing_key is not None:
        return config.enfonica_signing_key.get_secret_value()
    return derived_enfonica_key(config.signing_key.get_secret_value())
