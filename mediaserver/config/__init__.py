"""Typed settings, from YAML and the environment; an error names its key and what is right."""

from __future__ import annotations

from .load import ENV_PREFIX, load
from .model import (
    PERMISSIONS,
    ApiKey,
    Callbacks,
    Config,
    Http,
    Limits,
    Log,
    Outbound,
    RecordingDefaults,
    Rtp,
    Sip,
    keys,
)
from .routes import Route
from .trunks import SipTarget, Trunk
from .values import HostPort, Network, PortRange, SipListen

__all__ = [
    "ENV_PREFIX",
    "PERMISSIONS",
    "ApiKey",
    "Callbacks",
    "Config",
    "HostPort",
    "Http",
    "Limits",
    "Log",
    "Network",
    "Outbound",
    "PortRange",
    "RecordingDefaults",
    "Route",
    "Rtp",
    "Sip",
    "SipListen",
    "SipTarget",
    "Trunk",
    "keys",
    "load",
]
