"""What TLS connections prove and ask to be proven: certificates, keys, authorities (RFC 5922).

The files are read anew when they change, so that a renewed certificate needs no restart: handshakes
that begin from then on have it. Files that do not fit leave everything as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import structlog

from mediaserver.errors import LocalError
from mediaserver.sip.hop import Hop
from mediaserver.sip.routing import is_address
from mediaserver.sip.uri import write_hostport

LOOK_EVERY: Final = 10.0
"""Seconds between two looks at the files. They are taken up when two looks in a row find the same:
certificate and key are not replaced in one moment."""

_OUT_OF_DATE: Final = {9: "is not valid yet", 10: "has expired"}
_UNKNOWN_AUTHORITY: Final = frozenset({2, 18, 19, 20, 21})
"""X509_V_ERR_..., see openssl-verification-options(1)."""

_Mark = tuple[tuple[int, int, int], ...]
"""Of each file its inode, size and time of change; zeros where there is none."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files."""

    certificate: Path
    """Ours, with those between it and its authority."""
    key: Path
    """Of `certificate`, without a passphrase."""
    ca: Path | None = None
    """Authorities whose certificates those we connect to may have; None: the system's."""
    client_ca: Path | None = None
    """Authorities of which those that connect to us must have a certificate; None: they need
    none."""
    trunk_cas: Mapping[str, Path] = field(default_factory=dict)
    """In place of `ca`, by the host that is called, in lower case."""

    def paths(self) -> list[Path]:
        """Every file, each once."""
        given = (self.certificate, self.key, self.ca, self.client_ca, *self.trunk_cas.values())
        return list(dict.fromkeys(path for path in given if path is not None))


@dataclass(frozen=True, slots=True)
class _Contexts:
    server: ssl.SSLContext
    client: ssl.SSLContext
    by_name: Mapping[str, ssl.SSLContext]


class TlsContexts:
    """The contexts of handshakes, as the files are now."""

    def __init__(self, files: TlsFiles, loaded: _Contexts, mark: _Mark, look_every: float) -> None:
        """Use `open`."""
        self._files = files
        self._loaded = loaded
        self._mark = self._seen = mark
        self._look_every = look_every
        self._log = structlog.get_logger("sip")
        self._watching = asyncio.create_task(self._watch())

    @classmethod
    async def open(cls, files: TlsFiles, *, look_every: float = LOOK_EVERY) -> TlsContexts:
        """Read the files and begin to watch them; LocalError names one that will not do."""
        mark = await asyncio.to_thread(_mark_of, files)
        return cls(files, await asyncio.to_thread(_load, files), mark, look_every)

    @property
    def server(self) -> ssl.SSLContext:
        """For those who connect to us."""
        return self._loaded.server

    def client(self, name: str) -> ssl.SSLContext:
        """For connections to `name`. Whether that is who answers is for `objection` to say."""
        return self._loaded.by_name.get(name, self._loaded.client)

    async def close(self) -> None:
        """Watch the files no longer."""
        self._watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._look_every)
            mark = await asyncio.to_thread(_mark_of, self._files)
            settled, self._seen = mark == self._seen, mark
            if settled and mark != self._mark:
                self._mark = mark
                await self._take_up()

    async def _take_up(self) -> None:
        try:
            self._loaded = await asyncio.to_thread(_load, self._files)
        except LocalError as error:
            self._log.error("new TLS files not taken up", error=str(error))
        else:
            self._log.info("new TLS files taken up", certificate=str(self._files.certificate))


def _mark_of(files: TlsFiles) -> _Mark:
    return tuple(_stamp(path) for path in files.paths())


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _load(files: TlsFiles) -> _Contexts:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _present(server, files)
    # A peer that may begin the handshake anew at will can keep us busy with nothing else.
    server.options |= ssl.OP_NO_RENEGOTIATION
    if files.client_ca is not None:
        _trust(server, files.client_ca)
        server.verify_mode = ssl.CERT_REQUIRED
    by_path = {path: _client(files, path) for path in {files.ca, *files.trunk_cas.values()}}
    by_name = {name: by_path[path] for name, path in files.trunk_cas.items()}
    return _Contexts(server, by_path[files.ca], by_name)


def _client(files: TlsFiles, ca: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # RFC 5922 7.1 knows names that are none of HTTP's: `objection` compares them.
    context.check_hostname = False
    _present(context, files)
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _trust(context, ca)
    return context


def _present(context: ssl.SSLContext, files: TlsFiles) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (files.certificate, files.key):
        _check_readable(path)
    try:
        # A passphrase would be asked for at the terminal.
        context.load_cert_chain(files.certificate, files.key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise LocalError(
            f"{files.certificate} and {files.key} are no certificate and its key in PEM, the key "
            f"without a passphrase: {_reason(error)}"
        ) from None


def _trust(context: ssl.SSLContext, path: Path) -> None:
    _check_readable(path)
    try:
        context.load_verify_locations(path)
    except OSError as error:
        raise LocalError(f"{path} holds no certificates in PEM: {_reason(error)}") from None


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise LocalError(f"{path} cannot be read: {error.strerror}") from None


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or str(error) or type(error).__name__
    return str(reason).replace("_", " ").lower()


def sought(hop: Hop) -> str:
    """Whom the other end of a hop over TLS has to prove to be: a name, or the address itself."""
    return hop.name or hop.remote[0]


def objection(certificate: Mapping[str, Any] | None, hop: Hop) -> str:
    """Why a certificate does not prove who is at the other end of `hop`; "" when it does.

    `certificate` is as `getpeercert` returns it. The names in it are the `sip` URIs it has, or
    without any the DNS names and addresses (RFC 5922 7.1). Against 7.2 of that a first label `*`
    stands for any, for that is what large trunks have (RFC 6125 6.4.3).
    """
    name = sought(hop)
    found = list((certificate or {}).get("subjectAltName", ()))
    uris = [value for kind, value in found if kind == "URI"]
    domains = [uri[4:] for uri in uris if uri[:4].lower() == "sip:" and "@" not in uri]
    if not domains:
        asked = "IP Address" if is_address(name) else "DNS"
        domains = [value for kind, value in found if kind == asked]
    if any(_stands_for(domain.lower().rstrip("."), name) for domain in domains):
        return ""
    said = ", ".join(value for _, value in found[:4]) or "nobody"
    return f"the certificate of {_place(hop)} is for {said}, not for {name}"


def _stands_for(domain: str, name: str) -> bool:
    if domain.startswith("*.") and domain.count(".") > 1 and not is_address(name):
        label, _, rest = name.partition(".")
        return bool(label) and rest == domain[2:]
    # OpenSSL writes IPv6 addresses in full.
    return domain == name or (":" in domain and ":" in name and _plain(domain) == _plain(name))


def _plain(address: str) -> str:
    try:
        return str(ip_address(address.strip("[]")))
    except ValueError:
        return address


def trouble(error: BaseException, hop: Hop) -> str:
    """Why there is no TLS with the other end of `hop`, in a sentence; "" if that is not TLS's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        whose = f"the certificate of {sought(hop)} at {_place(hop)}"
        if error.verify_code in _OUT_OF_DATE:
            return f"{whose} {_OUT_OF_DATE[error.verify_code]}"
        if error.verify_code in _UNKNOWN_AUTHORITY:
            return (
                f"{whose} is from an authority that is not known here ({error.verify_message}); "
                "sip.tls.ca or trunks[].tls_ca names those that are"
            )
        return f"{whose} will not do: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with {sought(hop)} at {_place(hop)}: {_reason(error)}"
    return ""


def _place(hop: Hop) -> str:
    return write_hostport(*hop.remote)
