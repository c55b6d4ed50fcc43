"""What every call of a server shares."""

from __future__ import annotations

from dataclasses import dataclass

from ..clock import Clock
from .clips import Clips
from .documents import Documents
from .ports import CallStore, Journals, MediaEngine, Outbox, Requester, Signalling
from .recording import Studio
from .scripts import ScriptThread


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
    clips: Clips
    clock: Clock
    identity: Identity
    max_recording: float
    """Seconds after which any recording ends, whatever its document says."""
