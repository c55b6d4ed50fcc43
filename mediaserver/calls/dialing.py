"""Whom a document or an application may dial, and how that is reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from ..errors import PeerError
from ..sdp.codec import Codec
from ..sdp.crypto import Encryption
from ..sip.digest import Credentials
from ..sip.extra_headers import check
from ..sip.uri import SipUri, escape_user
from .negotiation import named_codecs

MAX_NUMBER: Final = 64
"""Characters of a number; E.164 has 15 digits."""

_DIGITS: Final = frozenset("0123456789*#")
_SEPARATORS: Final = str.maketrans("", "", " -.()/")


class NotDialled(Exception):
    """What was to be called cannot be; the message says why, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """Where numbers are called."""

    uri: SipUri
    """Host, port and parameters of the calls' targets."""
    credentials: Credentials | None = field(default=None, repr=False)
    from_: str | None = None
    """Number or SIP URI that calls come from, whatever a document says."""
    encryption: Encryption | None = None
    """Of the media of calls that go there; None: as for all others."""


TrunkFinder = Callable[[str], Trunk | None]
"""Returns the trunk for a number, None where none is for such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A way to somebody: what the INVITE names."""

    target: SipUri
    from_: SipUri
    credentials: Credentials | None = field(default=None, repr=False)
    encryption: Encryption | None = None
    """As in `Trunk`."""


def line_to(address: str, from_: str | None, caller: str, trunk_for: TrunkFinder) -> Line:
    """Return the way to a SIP URI or a number; raises NotDialled.

    `from_` is the number or SIP URI to call from; None: `caller`, whose call it is for.
    """
    if address.lower().startswith(("sip:", "sips:")):
        try:
            target = SipUri.parse(address)
        except PeerError as error:
            raise NotDialled(f"{address!r} is no SIP address: {error.reason}") from None
        if target.headers:
            raise NotDialled(f"{address!r} has header fields in it; give them as headers")
        return Line(target=target, from_=_caller(from_ or caller, target))
    number = dialled_number(address)
    trunk = trunk_for(number)
    if trunk is None:
        raise NotDialled(
            f"there is no trunk for {number}; trunks[] in the configuration names them"
        )
    target = replace(trunk.uri, user=escape_user(number))
    return Line(
        target=target,
        from_=_caller(trunk.from_ or from_ or caller, target),
        credentials=trunk.credentials,
        encryption=trunk.encryption,
    )


def dialled_number(text: str) -> str:
    """Return a number without separators, `+` kept in front; raises NotDialled if it is none."""
    if text.lower().startswith("tel:"):
        text = text[4:].partition(";")[0]
    number = text.translate(_SEPARATORS)
    digits = number.removeprefix("+")
    if not digits or len(number) > MAX_NUMBER or not _DIGITS.issuperset(digits):
        raise NotDialled(f"{text[:MAX_NUMBER]!r} is neither a SIP address nor a number")
    return number


def spoken(
    codecs: tuple[str, ...], known: tuple[Codec, ...], preferred: Codec | None = None
) -> tuple[str, ...]:
    """Return the names of the codecs to be offered, best first; raises NotDialled if none fits.

    Without `codecs` the `preferred` one before the others: what two calls that are joined both
    speak passes from one to the other as it is. Where those `known` begin with G.711, which every
    telephone speaks, the others are that alone: what is no G.711 costs ten times as much, and a
    request has to fit into a datagram.
    """
    if not codecs:
        wanted = [one for one in known if one.is_g711 or one == preferred or not known[0].is_g711]
        return tuple(codec.name for codec in sorted(wanted, key=lambda codec: codec != preferred))
    found = named_codecs(codecs, known)
    if not found:
        names = [codec.name for codec in known]
        spoken_here = " and ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])
        raise NotDialled(
            f"none of the codecs {', '.join(codecs)} is spoken here; {spoken_here}"
            f" {'are' if names[1:] else 'is'}"
        )
    return tuple(codec.name for codec in found)


def checked_headers(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return header fields that an INVITE may have; raises NotDialled for one that it may not."""
    for name, value in headers:
        try:
            check(name, value)
        except ValueError as error:
            raise NotDialled(str(error)) from None
    return headers


def _caller(from_: str, target: SipUri) -> SipUri:
    """Return who calls `target`: a SIP URI as it is, a number at the host that is called."""
    if from_.lower().startswith(("sip:", "sips:")):
        try:
            return replace(SipUri.parse(from_), headers=())
        except PeerError as error:
            raise NotDialled(f"{from_!r} is no SIP address: {error.reason}") from None
    user = from_[4:].partition(";")[0] if from_.lower().startswith("tel:") else from_
    return SipUri(host=target.host, user=escape_user(user[:MAX_NUMBER]) if user else None)
