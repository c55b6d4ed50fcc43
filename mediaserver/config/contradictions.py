"""Settings that are each right, but not together."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from .model import Config
from .routes import Route
from .trunks import SipTarget

_FOR_URLS: Final = ("method", "fallback_url", "fallback_method", "timeout", "on_failure")
"""Settings of a route that mean nothing where its script is a file."""


def contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the key and the problem of settings that are each right but not together."""
    for listen in config.sip.listen:
        if listen.wildcard and config.sip.advertise is None:
            yield (
                "sip.advertise",
                f"must be given, for sip.listen has {listen}, which names no address: "
                "the address or host name your trunk reaches, for example 192.0.2.10",
            )
            break
    for number, listen in enumerate(config.sip.listen):
        if listen.port and listen in config.sip.listen[:number]:
            yield f"sip.listen[{number}]", f"must be another address: {listen} stands there before"
    yield from _of_tls(config)
    if ip_address(config.media_address).is_unspecified and config.sip.advertise is not None:
        yield (
            "rtp.advertise",
            "must be given, for sip.advertise is a name and SDP needs an address: "
            "the IP address media is sent to, for example 192.0.2.10",
        )
    if config.http.listen.wildcard and config.http.public_url is None:
        yield (
            "http.public_url",
            f"must be given, for http.listen {config.http.listen} names no address: "
            "the URL applications reach, for example https://media.example.com",
        )
    for number, route in enumerate(config.routes):
        yield from _of_route(f"routes[{number}]", route)
    yield from _of_trunks(config)


def _of_route(key: str, route: Route) -> Iterator[tuple[str, str]]:
    if not route.is_url:
        for name in _FOR_URLS:
            if name in route.model_fields_set:
                yield f"{key}.{name}", f"has no meaning, for {key}.swml is a file"
    elif route.fallback_url is None and "fallback_method" in route.model_fields_set:
        yield f"{key}.fallback_method", f"has no meaning without {key}.fallback_url"


def _of_tls(config: Config) -> Iterator[tuple[str, str]]:
    tls = config.sip.tls
    for name in ("certificate", "key"):
        if config.speaks_tls and getattr(tls, name) is None:
            yield f"sip.tls.{name}", "must be given, for sip.listen has a tls: address: a PEM file"
    known: dict[str, int] = {}
    for number, trunk in enumerate(config.trunks):
        if trunk.tls_ca is not None:
            first = known.setdefault(trunk.uri.host, number)
            if config.trunks[first].tls_ca != trunk.tls_ca:
                yield (
                    f"trunks[{number}].tls_ca",
                    f"must be that of trunks[{first}], which has the same host",
                )


def _of_trunks(config: Config) -> Iterator[tuple[str, str]]:
    for number, trunk in enumerate(config.trunks):
        key = f"trunks[{number}]"
        if (trunk.username is None) is not (trunk.password is None):
            missing, given = ("username", "password")
            if trunk.password is None:
                missing, given = given, missing
            yield f"{key}.{missing}", f"must be given, for {key}.{given} is"
        for earlier, other in enumerate(config.trunks[:number]):
            if other.takes_all_of(trunk):
                problem = f"is never used, for trunks[{earlier}] comes first and takes all of it"
                yield f"{key}.numbers", problem
                break
        if not _can_reach(config, trunk.uri):
            listen = ", ".join(map(str, config.sip.listen))
            yield f"{key}.uri", f"cannot be reached from sip.listen, which has {listen} alone"


def _can_reach(config: Config, target: SipTarget) -> bool:
    """Tell whether one of our sockets could send to it; a name may lead anywhere."""
    transport = target.transport or ("udp" if target.is_ip else None)
    return any(
        transport in {None, listen.transport}
        and (not target.is_ip or ip_address(target.host).version == ip_address(listen.host).version)
        for listen in config.sip.listen
    )
