"""Settings that are right, and hardly what was meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .model import Config

_IN_CLEAR: Final = "its keys go through the network in clear"


def remarks(config: Config) -> Iterator[tuple[str, str]]:
    """Yield keys and what an operator may want to know of them; nothing keeps from serving."""
    for number, route in enumerate(config.routes):
        key = f"routes[{number}]"
        for earlier, other in enumerate(config.routes[:number]):
            if other.takes_all_of(route):
                taken = f"is never used, for routes[{earlier}] comes first and takes all its calls"
                yield key, taken
                break
        for name, user in (("to", route.to), ("from", route.from_)):
            if "@" in user or user.lower().startswith(("sip:", "sips:", "tel:")):
                yield f"{key}.{name}", "is compared with USER of sip:USER@HOST alone"
            elif user != "*" and "*" in user:
                yield f"{key}.{name}", "is compared as it stands; * alone stands for all"
    yield from _of_secrecy(config)
    if any(config.certificates()):
        from .certificates import remarks as of_certificates

        yield from of_certificates(config)


def _of_secrecy(config: Config) -> Iterator[tuple[str, str]]:
    """The keys of SRTP are in SDP: whoever reads that on its way can decipher the call."""
    if config.rtp.encryption == "required" and not config.speaks_tls:
        yield "rtp.encryption", f"is required, but {_IN_CLEAR}: sip.listen has no tls: address"
    for number, trunk in enumerate(config.trunks):
        wanted = trunk.encryption or config.rtp.encryption
        if wanted == "required" and config.speaks_tls and trunk.uri.transport in ("udp", "tcp"):
            yield f"trunks[{number}].uri", f"is not TLS, so {_IN_CLEAR}"
        elif trunk.encryption == "required" and not config.speaks_tls:
            yield (
                f"trunks[{number}].encryption",
                f"is required, but {_IN_CLEAR}: sip.listen has no tls: address",
            )
    if not config.speaks_tls:
        for key, _ in config.certificates():
            yield key, "is not used, for sip.listen has no tls: address"
