"""What must be true once a flow is over."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from mediaserver.calls.call_state import CallState
from mediaserver.recording.states import FINAL

if TYPE_CHECKING:
    from .town import Town


def aftermath(town: Town) -> list[str]:
    """Return what is not as it should be after a flow."""
    return [
        *town.faults,
        *_left(town),
        *_legs(town),
        *_recordings(town),
        *_said(town),
    ]


def _left(town: Town) -> list[str]:
    registry, core = town.registry, town.server.agent._core
    far = town.far.agent
    left = {
        "calls": registry.active,
        "calls by id": len(registry._calls),
        "calls by session": len(registry._sessions),
        "sessions": town.server.agent.session_count,
        "transactions": town.server.agent.transaction_count,
        "dialogs": len(core.dialogs),
        "sessions of far ends": far.session_count,
        "transactions of far ends": far.transaction_count,
        "dialogs of far ends": len(far._core.dialogs),
        "recordings that run": len(town.services.studio.running),
        "journals": len(town.desk.open),
        "journals in use": len(registry.journals_in_use()),
        "conferences": len(town.services.conferences),
        "stays in conferences": len(town.services.conferences._stays),
        "listeners": len(town.outside.open_now),
        "tasks": len(asyncio.all_tasks()) - 1,
    }
    found = [f"left: {count} {what}" for what, count in left.items() if count]
    for call in registry.seen:
        own = {
            "bridge": call.bridge is not None,
            "referral": call.referral is not None,
            "key listeners": bool(call.capture and call.capture.key_listeners),
            "watchers": bool(call.capture and call.capture.watchers),
            "recordings": bool(call.recordings.running or call.recordings.cued),
            "unsettled": bool(call.recordings.unsettled),
            "background": call.background.busy,
            "no end": not call.ended or call.state is not CallState.ENDED,
        }
        found += [f"left on {call.id[:4]}: {what}" for what, is_left in own.items() if is_left]
    return found


def _legs(town: Town) -> list[str]:
    engine = town.engine
    found = [f"leg {n}: {fault}" for n, leg in enumerate(engine.legs) for fault in leg.faults]
    found += [
        f"leg {n} closed {leg.closed} times" for n, leg in enumerate(engine.legs) if leg.closed != 1
    ]
    if engine.joined:
        found.append("legs are still joined")
    found += ["a mix is open" for mix in engine.mixes if not mix.closed]
    return found


def _recordings(town: Town) -> list[str]:
    found = []
    said: dict[str, list[str]] = defaultdict(list)
    for event in town.archive.said:
        if event["event_type"] == "calling.call.record":
            said[event["params"]["recording_id"]].append(event["params"]["state"])
    for recording in town.archive.recordings.values():
        if recording.state not in FINAL:
            found.append(f"recording {recording.id[:4]} is {recording.state}")
        states = said.get(recording.id, [])
        if recording.status_url is not None:
            final = [state for state in states if state in FINAL]
            if final != [recording.state] or states[-1] != final[0]:
                found.append(f"recording {recording.id[:4]} is told as {states}")
    begun = sum(call.recordings.begun for call in town.registry.seen)
    conference = sum(len(mix.lines) for mix in town.engine.mixes)
    if len(town.archive.recordings) != begun + conference:
        found.append(f"{len(town.archive.recordings)} recordings of {begun} + {conference}")
    return found


def _said(town: Town) -> list[str]:
    found = []
    order = {state: number for number, state in enumerate(CallState)}
    last: Counter[str] = Counter()
    states: dict[str, list[str]] = defaultdict(list)
    connects: dict[str, list[str]] = defaultdict(list)
    for announcement in town.archive.announced:
        last[announcement.stream] += 1
        if announcement.sequence != last[announcement.stream]:
            found.append(f"stream {announcement.stream} out of order")
        event = json.loads(announcement.body)
        params = event["params"]
        if event["event_type"] == "calling.call.state":
            states[announcement.stream].append(params["call_state"])
        elif event["event_type"] == "calling.call.connect" and "peer" in params:
            connects[announcement.stream].append(params["connect_state"])
    for stream, told in states.items():
        numbers = [order[CallState(state)] for state in told]
        if numbers != sorted(set(numbers)):
            found.append(f"states of {stream} are told as {told}")
    for stream, told in connects.items():
        if told not in (
            ["connecting"],
            ["connecting", "failed"],
            ["connecting", "connected", "disconnected"],
        ):
            found.append(f"connect of {stream} is told as {told}")
    ended: Counter[str] = Counter()
    for record in town.archive.calls:
        ended[record.id] += record.ended_at is not None
    found += [f"call {id[:4]} is ended {n} times in the book" for id, n in ended.items() if n != 1]
    if len(ended) != len(town.registry.seen):
        found.append(f"{len(ended)} calls in the book of {len(town.registry.seen)}")
    return found
