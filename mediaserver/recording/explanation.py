"""What a recording says about itself in `Recording.account`, as JSON; it grows with the recording.

::

    {"milliseconds": {"speech": 8200, "silence": 1640, "lost": 160, ...},
     "skipped": 0, "trimmed": 0,
     "leg": {...},
     "trace": {"rules": {...}, "voice": {...},
               "stop_reason": "end_silence", "stop_digit": null, "position_ms": 10000,
               "last_speech_end_ms": 4880, "fade_ms": 120,
               "spurts": [[240, 1900], [2300, 4880]], "spurts_in_all": 2}}

The rules are there from the start, the leg's figures and why it stopped once it has, the rest when
its files are made. Instants are milliseconds of the leg's time since the recording's start:
pauses count, whether they are in the file or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..audio.vad import DEFAULT_SENSITIVITY, vad_setting
from .account import Account
from .recorder import StopRules
from .states import StopReason

Explanation = dict[str, Any]


def begin(rules: StopRules) -> Explanation:
    """Return what is known of a recording that has just begun: the rules that are to end it."""
    setting = vad_setting(rules.input_sensitivity)
    return {
        "trace": {
            "rules": {
                "terminators": rules.terminators,
                "initial_timeout": rules.initial_timeout,
                "end_silence_timeout": rules.end_silence_timeout,
                "max_length": rules.max_length,
                "input_sensitivity": rules.input_sensitivity,
            },
            "voice": {
                "mode": setting.mode,
                "floor_dbov": round(setting.floor_dbov, 2),
                "margin_db": round(setting.margin_db, 2),
            },
        }
    }


def end(
    explanation: Mapping[str, Any] | None,
    reason: StopReason,
    digit: str | None,
    position_ms: int,
    leg: Mapping[str, Any] | None,
) -> Explanation:
    """Return it with why the recording stopped, and what became of its leg's packets."""
    known = dict(explanation or {})
    trace = dict(known.get("trace", {}))
    trace |= {"stop_reason": reason.value, "stop_digit": digit, "position_ms": position_ms}
    if leg is not None:
        known["leg"] = dict(leg)
    return known | {"trace": trace}


def sensitivity(explanation: Mapping[str, Any] | None) -> float:
    """Return by which sensitivity the recording's voice detection heard."""
    rules = (explanation or {}).get("trace", {}).get("rules", {})
    return float(rules.get("input_sensitivity", DEFAULT_SENSITIVITY))


def complete(explanation: Mapping[str, Any] | None, account: Account | None) -> Explanation | None:
    """Return it with where every millisecond came from."""
    if account is None:
        return None if explanation is None else dict(explanation)
    known = dict(explanation or {})
    trace = dict(known.get("trace", {}))
    if "sent" not in account.milliseconds:
        spurts = account.spurts
        trace |= {
            "last_speech_end_ms": account.spoken_until,
            "fade_ms": _fade(trace, account.spoken_until),
            "spurts": [list(spurt) for spurt in spurts],
            "spurts_in_all": account.spurts_in_all,
        }
    return {
        "milliseconds": dict(account.milliseconds),
        "skipped": account.skipped,
        "trimmed": account.trimmed,
        **known,
        "trace": trace,
    }


def _fade(trace: Mapping[str, Any], spoken_until: int | None) -> int | None:
    """Return for how long speech was taken to go on after it was last heard; None: not measured.

    It is what lies between the two where the silence did not have to be as long as it was.
    """
    if trace.get("stop_reason") != StopReason.END_SILENCE.value or spoken_until is None:
        return None
    silence = round(1000 * float(trace["rules"]["end_silence_timeout"]))
    return max(0, int(trace["position_ms"]) - silence - spoken_until)
