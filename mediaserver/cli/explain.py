"""A recording's account as one reads it: why it stopped, and where its time came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

BAR: Final = 30
"""Characters of a bar that stands for the whole recording."""

_REASONS: Final = {
    "initial_timeout": "nobody spoke within {initial_timeout:g} s",
    "end_silence": "nobody spoke any more for {end_silence_timeout:g} s",
    "max_length": "it had its full length",
    "command": "it was told to",
    "hangup": "the call ended",
    "restart": "the server was cut off; it was completed from its journal",
    "fault": "it failed",
}


def explain(
    name: str, state: str, account: Mapping[str, Any], failure: Mapping[str, str] | None = None
) -> RenderableType:
    """Return what is to be printed of a recording, given its account and why it failed if so."""
    trace = account.get("trace", {})
    parts: list[RenderableType] = [Text(f"{name}  {state}")]
    if failure is not None:
        parts.append(Text(f"failed: {failure['message']} ({failure['reason']})"))
    if "stop_reason" in trace:
        parts.append(Text(f"stopped at {_seconds(trace['position_ms'])}: {_reason(trace)}"))
    spoken = trace.get("last_speech_end_ms")
    if spoken is not None:
        fade = trace.get("fade_ms")
        more = f", and {_seconds(fade)} more as it faded" if fade else ""
        parts.append(Text(f"speech was last heard at {_seconds(spoken)}{more}"))
    if "milliseconds" in account:
        parts += [Text(), _shares(account)]
    for title, lines in (
        ("leg", _leg(account)),
        ("rules", _rules(trace)),
        ("talk spurts", _spurts(trace)),
    ):
        text = "\n".join(lines)
        if text:
            parts += [Text(), Text(f"{title}\n{text}")]
    return Group(*parts)


def _reason(trace: Mapping[str, Any]) -> str:
    if trace["stop_reason"] == "terminator":
        return f"the key {trace['stop_digit']} was pressed"
    reason = _REASONS.get(trace["stop_reason"], trace["stop_reason"])
    rules = {"initial_timeout": 0.0, "end_silence_timeout": 0.0} | trace.get("rules", {})
    return str(reason.format_map(rules))


def _shares(account: Mapping[str, Any]) -> Table:
    milliseconds: Mapping[str, int] = account["milliseconds"]
    total = sum(milliseconds.values())
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(min_width=9)
    table.add_column(justify="right", min_width=11)
    table.add_column(justify="right", min_width=7)
    table.add_column(no_wrap=True)
    for name, count in milliseconds.items():
        share = count / total if total else 0.0
        table.add_row(name, _seconds(count), f"{share:.1%}", "#" * round(BAR * share))
    table.add_row("in all", _seconds(total), "", "")
    for name in ("skipped", "trimmed"):
        if account.get(name):
            table.add_row(name, _seconds(account[name]), "", "not in the file")
    return table


def _leg(account: Mapping[str, Any]) -> Iterator[str]:
    leg = account.get("leg")
    if leg is None:
        return
    trip = leg["round_trip_ms"]
    yield (
        f"  heard: {leg['packets_received']} packets, {leg['packets_lost']} lost, "
        f"{leg['packets_late']} late, {leg['packets_refused']} refused, "
        f"jitter {leg['jitter_ms']:g} ms, MOS {leg['mos']:.2f}"
    )
    far = leg["far_end"]
    sent = f"  sent: {leg['packets_sent']} packets"
    if far is not None:
        sent += (
            f", {far['packets_lost']} lost, jitter {far['jitter_ms']:g} ms, MOS {far['mos']:.2f}"
        )
    yield sent + (", nothing reported" if far is None else "")
    if trip is not None:
        yield f"  round trip: {trip:g} ms"
    if leg.get("skew_ppm") is not None:
        yield f"  the far end's clock is off by {leg['skew_ppm']:+g} ppm"
    if leg.get("encryption") is not None:
        yield f"  SRTP: {leg['encryption']}"


def _rules(trace: Mapping[str, Any]) -> Iterator[str]:
    if "rules" not in trace:
        return
    rules, voice = trace["rules"], trace["voice"]
    timeouts = ("initial_timeout", "end_silence_timeout", "max_length")
    yield "  " + ", ".join(
        f"{name} {f'{rules[name]:g} s' if rules[name] else 'none'}" for name in timeouts
    )
    yield f"  terminators {rules['terminators'] or 'none'}"
    yield (
        f"  input_sensitivity {rules['input_sensitivity']:g}: mode {voice['mode']}, "
        f"floor {voice['floor_dbov']:g} dBov, margin {voice['margin_db']:g} dB"
    )


def _spurts(trace: Mapping[str, Any]) -> Iterator[str]:
    spurts = trace.get("spurts", [])
    for start, end in spurts:
        yield f"  {_seconds(start):>10} to {_seconds(end):>10}"
    more = trace.get("spurts_in_all", len(spurts)) - len(spurts)
    if more:
        yield f"  and {more} more"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f} s"
