"""From, To, Contact, Route and their like: a URI with a name and parameters (RFC 3261 20.10)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from mediaserver.sip.grammar import (
    Params,
    bad,
    end_of_quote,
    find_param,
    has_any,
    quote,
    read_params,
    readable,
    split_outside,
    unquote,
    write_params,
)
from mediaserver.sip.limits import MAX_LIST_VALUES, MAX_REMEMBERED, REMEMBERED
from mediaserver.sip.uri import AbsoluteUri, SipUri, parse_uri

# The grammar wants tokens in an unquoted name. A bracket or a slash in it harms nobody, while
# these could belong to the syntax around it (RFC 4475 3.1.2.15).
_NOT_IN_NAME = '",;<>\\'
# Without angle brackets these end the URI (RFC 3261 20.10).
_NOT_IN_BARE_URI = "?,"


@dataclass(frozen=True, slots=True)
class Address:
    """A name-addr or addr-spec with the parameters of its header field."""

    uri: SipUri | AbsoluteUri
    display_name: str = ""
    """Unquoted, readable text; "" when there is none."""
    params: Params = ()
    """Parameters of the header field, not of the URI; values stay as written."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read one value; PeerError 400 when it is not one."""
        return _remembered(text) if len(text) <= MAX_REMEMBERED else cls._parse(text)

    @classmethod
    def _parse(cls, text: str) -> Address:
        text = text.strip(" \t")
        if text.startswith('"'):
            end = end_of_quote(text, 0)
            name = unquote(text[:end])
            rest = text[end:].lstrip(" \t")
            if not rest.startswith("<"):
                raise bad("Address")
        else:
            bracket = text.find("<")
            # A "<" behind a ";" belongs to a parameter's quoted value, not to the URI.
            if bracket < 0 or -1 < text.find(";") < bracket:
                return cls._parse_bare(text)
            name = text[:bracket].rstrip(" \t")
            rest = text[bracket:]
            if has_any(name, _NOT_IN_NAME):
                raise bad("Display Name")
        uri_text, bracket_end, tail = rest[1:].partition(">")
        if not bracket_end:
            raise bad("Address")
        return cls(parse_uri(uri_text), readable(name), _read_tail(tail))

    @classmethod
    def _parse_bare(cls, text: str) -> Address:
        uri_text, semicolon, tail = text.partition(";")
        uri_text = uri_text.rstrip(" \t")
        if has_any(uri_text, _NOT_IN_BARE_URI):
            raise bad("Address")
        return cls(parse_uri(uri_text), "", read_params(tail, "Address") if semicolon else ())

    @classmethod
    def parse_list(cls, text: str) -> tuple[Address, ...]:
        """Read a header that may hold several values separated by commas."""
        return tuple(cls.parse(part) for part in split_outside(text, ",", MAX_LIST_VALUES))

    def __str__(self) -> str:
        name = f"{quote(self.display_name)} " if self.display_name else ""
        return f"{name}<{self.uri}>{write_params(self.params)}"

    @property
    def tag(self) -> str | None:
        """The tag that names one side of a dialog, None when there is none yet (19.3)."""
        return find_param(self.params, "tag") or None

    def param(self, name: str) -> str | None:
        """A header parameter, unquoted; "" when it has no value, None when it is absent."""
        return find_param(self.params, name)

    def with_tag(self, tag: str) -> Address:
        """The same address with `tag` in place of any tag it had."""
        params = tuple((name, value) for name, value in self.params if name.lower() != "tag")
        return replace(self, params=(*params, ("tag", tag)))


@lru_cache(REMEMBERED)
def _remembered(text: str) -> Address:
    return Address._parse(text)


def _read_tail(text: str) -> Params:
    text = text.strip(" \t")
    if not text:
        return ()
    if text[0] != ";":
        raise bad("Address")
    return read_params(text[1:], "Address")
