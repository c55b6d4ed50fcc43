"""Every setting, with its type, its default and what it means. The defaults serve on loopback."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID

from pydantic import (
    BaseModel,
    Field,
    PlainValidator,
    SecretBytes,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from .routes import Route
from .section import (
    AsList,
    LongSeconds,
    LongSecondsOrNever,
    Networks,
    Seconds,
    SecondsOrNever,
    Secret,
    Section,
)
from .trunks import Trunk
from .values import (
    CODECS,
    HostPort,
    PortRange,
    SipListen,
    is_ip,
    parse_base_url,
    parse_codec,
    parse_host,
    parse_ip,
    parse_max_calls,
    parse_octets,
    parse_size,
)

Permission = Literal[
    "voice.recordings.list",
    "voice.recordings.get",
    "voice.recordings.delete",
    "voice.recordings.render",
    "voice.calls.control",
    "voice.calls.read",
]
PERMISSIONS: Final[frozenset[Permission]] = frozenset(get_args(Permission))
"""What an API key can be allowed to do (contracts A4, B2)."""

DEFAULT_PROJECT: Final = UUID("00000000-0000-4000-8000-000000000001")
DEFAULT_SPACE: Final = UUID("00000000-0000-4000-8000-000000000002")

ENFONICA_KEY: Final = 64
"""Octets of a key that signs as Enfonica does (contract B6)."""


def _enfonica_key(value: Any) -> SecretBytes:
    if isinstance(value, SecretBytes):
        return value
    return SecretBytes(parse_octets(value, ENFONICA_KEY))


class Tls(Section):
    """Files in PEM: what we prove to be, and whose word we take for who others are."""

    certificate: Path | None = None
    """Ours, with those between it and its authority."""
    key: Path | None = None
    """The private key to it, without a passphrase."""
    ca: Path | None = None
    """Authorities of whose certificates servers that we call must have one; None: the system's."""
    client_ca: Path | None = None
    """Likewise those who call; None: they need none."""


class Sip(Section):
    """Where SIP is spoken."""

    listen: Annotated[
        tuple[Annotated[SipListen, PlainValidator(SipListen.parse)], ...],
        AsList,
        Field(min_length=1),
    ] = (SipListen("udp", "127.0.0.1", 5060), SipListen("tcp", "127.0.0.1", 5060))
    advertise: Annotated[str, PlainValidator(parse_host)] | None = None
    """Host that peers are told in Contact and Via; None: the address listened on."""
    tls: Tls = Tls()


class Rtp(Section):
    """Where media goes."""

    ports: Annotated[PortRange, PlainValidator(PortRange.parse)] = PortRange(10000, 19999)
    advertise: Annotated[str, PlainValidator(parse_ip)] | None = None
    """IP address that peers are told in SDP; None: as `Config.media_address` finds it."""
    codecs: Annotated[
        tuple[Annotated[str, PlainValidator(parse_codec)], ...], AsList, Field(min_length=1)
    ] = CODECS
    """What is spoken with telephones, best first."""
    lane: Literal["auto", "io_uring", "recvmmsg", "portable"] = "auto"
    """How packets go through the kernel; `auto`: the quickest way there is."""
    encryption: Literal["off", "optional", "required"] = "optional"
    """Whether calls may be encrypted by SRTP with keys in SDP, or must be."""
    timeout: SecondsOrNever = 300.0
    """Seconds after which a call ends from whose far end neither RTP nor RTCP comes; 0: never."""
    hold_timeout: SecondsOrNever = 1800.0
    """Likewise while the far end holds the call, or only listens."""


class Http(Section):
    """Where the REST API is served, and under which URL others see it."""

    listen: Annotated[HostPort, PlainValidator(HostPort.parse)] = HostPort("127.0.0.1", 8080)
    public_url: Annotated[str, PlainValidator(parse_base_url)] | None = None
    """Begins every recording's URL, without a final slash; None: `http://` and `listen`."""

    @property
    def base_url(self) -> str:
        """What every URL we hand out begins with; no slash at its end."""
        return self.public_url or f"http://{self.listen}"


class ApiKey(Section):
    """A key to the REST API and what it opens."""

    key: Secret
    permissions: Annotated[frozenset[Permission], AsList] = PERMISSIONS

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"key": value} if isinstance(value, str) else value


class Outbound(Section):
    """Where callbacks and fetches may go although the address is not a public one."""

    allow: Networks = ()


class Log(Section):
    """What the log looks like."""

    format: Literal["json", "console", "auto"] = "auto"
    """`auto`: console on a terminal, JSON elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    show_numbers: bool = False
    """Whether phone numbers are written in full."""


class Limits(Section):
    """What the server takes on before it says 503."""

    max_calls: Annotated[int | None, PlainValidator(parse_max_calls)] = 2000
    """At a time; None, written `auto`: as many as the machine bears and have ports."""
    max_calls_per_second: Annotated[int, Field(ge=1, le=10_000)] = 200
    max_tick_lateness: Annotated[float, Field(ge=0.001, le=1.0, allow_inf_nan=False)] = 0.010
    """With `auto`: seconds by which the media's ticks may begin late before calls are refused."""

    min_free_disk: Annotated[int | None, PlainValidator(parse_size)] = None
    """Bytes of the disk that must be free for a new call; None: 1 GiB, at most 5 % of the disk."""

    def calls(self, pairs: int) -> int:
        """Return how many calls there may be at a time where so many pairs of ports are."""
        return pairs if self.max_calls is None else self.max_calls


class RecordingDefaults(Section):
    """What holds for every recording."""

    default_max_length: Seconds = 14_400.0
    """Seconds after which a recording ends, also one with a larger `max_length`."""
    render_timeout: Seconds = 3600.0
    """Seconds after its end at which a recording whose files are not made has failed."""
    formats: Annotated[tuple[Literal["wav", "mp3", "mp4"], ...], AsList] = ("wav", "mp3")
    """What every recording is made as, beside the format it was asked for."""
    sample_rate: Literal[8000, 16000, 48000] | None = None
    """Hz of the files; None: as the call was."""
    encoders: Annotated[int, Field(ge=1, le=64)] | None = None
    """Processes that make files at a time; None: half the cores, at least 1, at most 4."""
    keep_journal: LongSeconds = 7 * 86_400.0
    """Seconds after its end for which a recording can be rendered again."""
    retention: LongSeconds | None = None
    """Seconds after its end at which a recording is erased; None: never."""


class KeptCalls(Section):
    """What holds for calls that are over."""

    retention: LongSecondsOrNever = 90 * 86_400.0
    """Seconds after its end at which a call without recordings is forgotten; 0: never."""


class Speech(Section):
    """How texts are read out."""

    engine: Literal["none", "espeak-ng"] = "none"
    """`espeak-ng`: the program of that name."""


class Callbacks(Section):
    """How long and how often delivery is tried."""

    schedule: Annotated[tuple[Seconds, ...], AsList, Field(max_length=100)] = (
        *(1.0, 5.0, 30.0, 120.0, 600.0, 3600.0),
        *(7200.0,) * 9,
    )
    """Seconds to wait before each further attempt: 15 of them in about 19 hours. After the last the
    callback is set aside.
    """
    timeout: Seconds = 15.0
    """Seconds an attempt may take."""


class Config(BaseSettings):
    """All settings. Made by `load`; made directly, it reads neither file nor environment."""

    sip: Sip = Sip()
    rtp: Rtp = Rtp()
    http: Http = Http()
    data_dir: Path = Path("data")
    project_id: UUID = DEFAULT_PROJECT
    space_id: UUID = DEFAULT_SPACE
    api_keys: Annotated[tuple[ApiKey, ...], AsList] = ()
    signing_key: Secret = Field(default_factory=lambda: SecretStr(secrets.token_urlsafe(32)))
    enfonica_signing_key: Annotated[SecretBytes, PlainValidator(_enfonica_key)] | None = None
    """The octets that RECORDING_READY is signed with; None: derived from `signing_key`."""
    outbound: Outbound = Outbound()
    routes: Annotated[tuple[Route, ...], AsList] = ()
    trunks: Annotated[tuple[Trunk, ...], AsList] = ()
    log: Log = Log()
    limits: Limits = Limits()
    calls: KeptCalls = KeptCalls()
    recording: RecordingDefaults = RecordingDefaults()
    speech: Speech = Speech()
    callbacks: Callbacks = Callbacks()

    model_config = SettingsConfigDict(frozen=True, extra="forbid", enable_decoding=False)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is passed in and nothing else: `load` says where settings come from."""
        return (init_settings,)

    def route_for(self, to: str, from_: str) -> Route | None:
        """Return the first route for a call to user `to` from user `from_`, if there is one."""
        return next((route for route in self.routes if route.matches(to, from_)), None)

    def trunk_for(self, number: str) -> Trunk | None:
        """Return the first trunk that takes a number such as +4930123456, if there is one."""
        return next((trunk for trunk in self.trunks if trunk.takes(number)), None)

    def documents(self) -> Iterator[tuple[str, Path]]:
        """Yield each document that is a file, after its key."""
        for number, route in enumerate(self.routes):
            if not route.is_url:
                yield f"routes[{number}].swml", Path(route.swml)
            if route.apology is not None:
                yield f"routes[{number}].on_failure", route.apology

    @property
    def speaks_tls(self) -> bool:
        """Whether SIP is spoken over TLS."""
        return any(listen.transport == "tls" for listen in self.sip.listen)

    def certificates(self) -> Iterator[tuple[str, Path]]:
        """Yield each file of certificates, or of a key, that is to be used, after its key."""
        for name in ("certificate", "key", "ca", "client_ca"):
            if (path := getattr(self.sip.tls, name)) is not None:
                yield f"sip.tls.{name}", path
        for number, trunk in enumerate(self.trunks):
            if trunk.tls_ca is not None:
                yield f"trunks[{number}].tls_ca", trunk.tls_ca

    @property
    def media_host(self) -> str:
        """The IP address RTP sockets are bound to: the one SIP listens on first."""
        return self.sip.listen[0].host

    @property
    def media_address(self) -> str:
        """The IP address told in SDP."""
        if self.rtp.advertise is not None:
            return self.rtp.advertise
        if self.sip.advertise is not None and is_ip(self.sip.advertise):
            return self.sip.advertise
        return self.media_host


def keys() -> tuple[str, ...]:
    """Return the name of every setting, such as `sip.listen` or `routes[].to`, in order."""
    return tuple(_keys(Config, ""))


def _keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        inner = section_of(field.annotation)
        if inner is None:
            yield key
        else:
            yield from _keys(inner, f"{key}." if inner is field.annotation else f"{key}[].")


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the section a field is, or is a list of; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := section_of(arg))), None)
