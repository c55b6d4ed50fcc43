"""Are the files of certificates and keys what they should be?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from .model import Config

SOON: Final = timedelta(days=14)
"""Before its end, a certificate is worth a remark."""


def problems(config: Config) -> Iterator[tuple[str, str]]:
    """Yield keys and what is wrong with the files they name."""
    for key, path in config.certificates():
        try:
            data = path.read_bytes()
        except OSError as error:
            yield key, f"must be a file that can be read: {path}: {error.strerror}"
            continue
        if key == "sip.tls.key":
            yield from _of_key(config.sip.tls.certificate, path, data)
        else:
            try:
                x509.load_pem_x509_certificates(data)
            except ValueError:
                yield key, f"must be a file of certificates in PEM, which {path} is not"


def _of_key(certificate: Path | None, path: Path, data: bytes) -> Iterator[tuple[str, str]]:
    key = "sip.tls.key"
    try:
        found = load_pem_private_key(data, None).public_key()
    except TypeError:
        yield key, f"must be without a passphrase, but {path} has one"
        return
    except ValueError:
        yield key, f"must be a private key in PEM, which {path} is not"
        return
    own = _first(certificate)
    if own is None:
        return
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if own.public_key().public_bytes(*form) != found.public_bytes(*form):
        yield key, f"must be the key to sip.tls.certificate, but {path} is that of another"


def remarks(config: Config) -> Iterator[tuple[str, str]]:
    """Yield what an operator should know of the certificate: that it ends, or has ended."""
    path = config.sip.tls.certificate
    own = _first(path)
    if own is None:
        return
    now = datetime.now(UTC)
    begin, end = own.not_valid_before_utc, own.not_valid_after_utc
    if end < now:
        yield "sip.tls.certificate", f"{path} expired on {end:%Y-%m-%d}: TLS calls will fail"
    elif end < now + SOON:
        yield "sip.tls.certificate", f"{path} expires soon, on {end:%Y-%m-%d %H:%M} UTC"
    if begin > now:
        yield "sip.tls.certificate", f"{path} is not valid before {begin:%Y-%m-%d %H:%M} UTC"


def _first(path: Path | None) -> x509.Certificate | None:
    if path is None:
        return None
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError):
        return None
