"""Settings that are right, and hardly what was meant."""

from __future__ import annotations

from collections.abc import Iterator

from .model import Config


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
