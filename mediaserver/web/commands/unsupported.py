"""Commands of the contract that this server does not carry out, and why."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_NO_AI: Final = "there is no AI agent in this server"
_NO_TRANSCRIPTION: Final = "this server has no speech recognition"
_NO_TRANSLATION: Final = "this server has neither speech recognition nor translation"
_NO_DENOISING: Final = "this server passes audio on as it is and removes no noise"
_NO_FAX: Final = "this server sends and receives no faxes"

UNSUPPORTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "calling.ai.stop": _NO_AI,
        "calling.ai_hold": _NO_AI,
        "calling.ai_message": _NO_AI,
        "calling.ai_sidecar": _NO_AI,
        "calling.ai_sidecar.ask": _NO_AI,
        "calling.ai_sidecar.poke": _NO_AI,
        "calling.ai_sidecar.status": _NO_AI,
        "calling.ai_sidecar.stop": _NO_AI,
        "calling.ai_unhold": _NO_AI,
        "calling.denoise": _NO_DENOISING,
        "calling.denoise.stop": _NO_DENOISING,
        "calling.live_transcribe": _NO_TRANSCRIPTION,
        "calling.live_translate": _NO_TRANSLATION,
        "calling.receive_fax.stop": _NO_FAX,
        "calling.send_fax.stop": _NO_FAX,
        "calling.transcribe": _NO_TRANSCRIPTION,
        "calling.transcribe.stop": _NO_TRANSCRIPTION,
    }
)
"""By the name of the command."""
