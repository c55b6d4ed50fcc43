"""What the configuration says of calls: which document one gets, and where numbers are called."""

from __future__ import annotations

from .calls.dialing import Trunk
from .calls.document_source import BUSY, DocumentSource
from .calls.recording_order import RecordingPolicy
from .calls.registry import Route
from .config import Config
from .config import Route as RouteConfig
from .recording.resource import PostProcessing
from .sdp.crypto import Encryption
from .sip.digest import Credentials
from .sip.uri import SipUri


class Dialplan:
    """Looks calls up in the configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._routes: dict[int, Route] = {}
        """By the identity of the configured one, which lives as long: made when first taken."""

    def route(self, to: str, from_: str) -> Route | None:
        """Return the route of a call to user `to` from user `from_`; None: there is none."""
        route = self._config.route_for(to, from_)
        if route is None:
            return None
        if (known := self._routes.get(id(route))) is None:
            known = self._routes[id(route)] = self._route(route)
        return known

    def _route(self, route: RouteConfig) -> Route:
        asked = route.recording
        policy = RecordingPolicy(
            post_processing=tuple(PostProcessing(name) for name in asked.post_processing),
            ready_uri=asked.ready_uri,
            retention=asked.retention or self._config.recording.retention,
        )
        return Route(_document_source(route), route.status_url, policy)

    def trunk(self, number: str) -> Trunk | None:
        """Return where a number is called; None: nowhere."""
        trunk = self._config.trunk_for(number)
        if trunk is None:
            return None
        credentials = None
        if trunk.username is not None and trunk.password is not None:
            credentials = Credentials(
                trunk.username.get_secret_value(), trunk.password.get_secret_value()
            )
        uri = SipUri.parse(str(trunk.uri))
        return Trunk(
            uri=uri,
            credentials=credentials,
            from_=trunk.from_,
            encryption=None if trunk.encryption is None else Encryption(trunk.encryption),
        )


def _document_source(route: RouteConfig) -> DocumentSource:
    return DocumentSource(
        url=route.swml,
        method=route.method,
        fallback_url=route.fallback_url,
        fallback_method=route.fallback_method,
        timeout=route.timeout,
        on_failure=None if route.apology is None else str(route.apology),
        status=route.refusal or BUSY,
        allow=route.allow,
    )
