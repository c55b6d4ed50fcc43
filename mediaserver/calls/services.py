"""What every call of a server shares."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..clock import Clock
from ..sdp.codec import Codec
from ..sdp.crypto import Encryption
from .clips import Clips
from .conferences import Conferences
from .dialing import TrunkFinder
from .documents import Documents
from .media_timeout import Patience
from .negotiation import CODECS
from .ports import (
    CallStore,
    Journals,
    MediaEngine,
    Outbox,
    Requester,
    RtpOutputs,
    Signalling,
    WebSockets,
)
from .script_thread import ScriptThread
from .studio import Studio


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this server says it is in documents and callbacks (contract A2)."""

    project_id: str
    space_id: str
    node_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The collaborators of a call."""

    signalling: Signalling
    media: MediaEngine
    journals: Journals
    studio: Studio
    outbox: Outbox
    calls: CallStore
    documents: Documents
    scripts: ScriptThread
    requester: Requester
    rtp_outputs: RtpOutputs
    web_sockets: WebSockets
    clips: Clips
    clock: Clock
    identity: Identity
    trunk_for: TrunkFinder
    """Where numbers are called."""
    max_recording: float
    """Seconds after which any recording ends, whatever its document says."""
    codecs: tuple[Codec, ...] = CODECS
    """What is spoken, best first."""
    encryption: Encryption = Encryption.OFF
    """Of media, where nothing else is said for a call."""
    patience: Patience = field(default_factory=Patience)
    """How long nothing may come from a far end."""
    conferences: Conferences = field(default_factory=Conferences)
