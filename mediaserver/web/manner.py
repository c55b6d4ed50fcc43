"""How a callback is sent, by what it announces: headers, schedule, and what answers mean.

====================  ==============================  =================================
what                  STATUS (contracts A2, A11)      READY (contract B6)
====================  ==============================  =================================
signed                as SignalWire does, and as      as Enfonica does
                      Standard Webhooks
tried again           by `callbacks.schedule`,        after 1, 2, 4, 8, 60, 1800, 3600
                      longer for Retry-After          and 7200 seconds
410                   ends it                         is a failure like any other
a redirect            is a failure like any other     is followed, each hop signed anew
the body              is the same at every attempt    is the same but for its links, which
                                                      work for an hour from the attempt
====================  ==============================  =================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mediaserver.recording.announcement import Announcement, Kind

from .links import Links
from .outbound import MAX_REDIRECTS
from .schedule import READY_DELAYS, Schedule
from .signatures import RECORDING_READY, EnfonicaSigner, Signer
from .targets import Target
from .views import announced_again

Headers = Callable[[Announcement, Target, int], dict[str, str]]
"""Returns the headers of an attempt at a target, made at so many seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Manner:
    """What is done with the callbacks of one kind."""

    headers: Headers
    schedule: Schedule
    body: Callable[[bytes], bytes] = bytes
    """Makes what an attempt sends of what was announced."""
    method: str = "POST"
    redirects: int = 0
    """Hops that are followed."""
    heeds: bool = True
    """Whether a receiver can put us off by Retry-After, and for good by 410."""


Manners = Mapping[Kind, Manner]


def status_manner(signer: Signer, schedule: Schedule) -> Manner:
    """Return how the states of a recording are told to SignalWire's `status_url`."""

    def headers(announcement: Announcement, target: Target, at: int) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            **_delivery_headers(announcement),
            **signer.request_headers(str(target), announcement.body),
            **signer.webhook_headers(delivery_id(announcement), at, announcement.body),
        }

    return Manner(headers, schedule)


def query_manner(signer: Signer, schedule: Schedule) -> Manner:
    """Return how a state is told to a `status_url` that asks for a GET: there is no body."""

    def headers(announcement: Announcement, target: Target, at: int) -> dict[str, str]:
        return {
            **_delivery_headers(announcement),
            **signer.request_headers(str(target), b""),
            **signer.webhook_headers(delivery_id(announcement), at, b""),
        }

    return Manner(headers, schedule, method="GET")


def ready_manner(signer: EnfonicaSigner, links: Links) -> Manner:
    """Return how RECORDING_READY is told to Enfonica's `readyUri`."""

    def headers(announcement: Announcement, target: Target, _at: int) -> dict[str, str]:
        return {
            "Content-Type": "application/json; charset=utf-8",
            **_delivery_headers(announcement),
            **signer.headers(RECORDING_READY, str(target), announcement.body),
        }

    schedule = Schedule(READY_DELAYS, random=None)
    return Manner(
        headers,
        schedule,
        body=lambda body: announced_again(body, links.renewed),
        redirects=MAX_REDIRECTS,
        heeds=False,
    )


def delivery_id(announcement: Announcement) -> str:
    """Return the id of an announcement, the same over all attempts and unlike any other's."""
    return f"{announcement.stream}-{announcement.sequence}"


def _delivery_headers(announcement: Announcement) -> dict[str, str]:
    return {
        "X-Mediaserver-Delivery": delivery_id(announcement),
        "X-Mediaserver-Sequence": str(announcement.sequence),
    }
