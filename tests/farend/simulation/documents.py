"""Documents made at random of the methods that act on calls between two people."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

FAR_HOST = "192.0.2.9"
"""Where the far ends are."""

DEAD = "192.0.2.66"
"""Where nobody is."""

NOWHERE = "nowhere.example"
"""What no name service knows."""

OURS = "192.0.2.1"
"""Where the server is: it may call itself."""

APP = "http://app.example"
PLAIN = 3
"""Levels of steps within steps."""

Step = dict[str, Any] | str
Maker = Callable[[Random, int], Step]


def document(random: Random, *, confirm: bool = False) -> dict[str, Any]:
    """Return a document; one to `confirm` by has only steps that lead nowhere else."""
    main = steps(random, PLAIN, most=6, confirm=confirm)
    sections: dict[str, Any] = {"main": main}
    if not confirm:
        sections["other"] = steps(random, 1)
    return {"version": "1.0.0", "sections": sections}


def steps(random: Random, depth: int, *, most: int = 3, confirm: bool = False) -> list[Step]:
    """Return steps within others `depth` deep at most."""
    makers = QUIET if confirm else QUIET + FREE + (NESTED if depth else [])
    return [random.choice(makers)(random, depth) for _ in range(random.randint(1, most))]


def address(random: Random) -> str:
    """Return somebody to be called."""
    host = random.choices([FAR_HOST, DEAD, NOWHERE, OURS], [20, 1, 1, 2])[0]
    return f"sip:u{random.randint(0, 99)}@{host}"


def _maybe(random: Random, chance: float, **fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if random.random() < chance}


def _record(random: Random, _depth: int) -> Step:
    rules = _maybe(
        random, 0.4, beep=True, max_length=random.choice([1, 5]), end_silence_timeout=1,
        terminators="#", stereo=True, status_url=f"{APP}/record", initial_timeout=2,
    )  # fmt: skip
    return {"record": rules}


def _record_call(random: Random, _depth: int) -> Step:
    rules = _maybe(
        random, 0.3, control_id=random.choice("ab"), stereo=True, beep=True,
        direction=random.choice(["speak", "listen", "both"]), max_length=4, terminators="*",
    )  # fmt: skip
    return {"record_call": rules | {"status_url": f"{APP}/record"}}


def _stop(random: Random, _depth: int) -> Step:
    return {"stop_record_call": _maybe(random, 0.5, control_id=random.choice("ab"))}


def _play(random: Random, _depth: int) -> Step:
    source = random.choice(["silence:0.5", "ring:2:us", "silence:4", "https://app.example/x.wav"])
    return {"play": {"url": source} | _maybe(random, 0.2, auto_answer=False, volume=3)}


def _prompt(random: Random, _depth: int) -> Step:
    limits = _maybe(
        random, 0.5, max_digits=3, terminators="#", initial_timeout=2.0, digit_timeout=1.0,
        status_url=f"{APP}/collect",
    )  # fmt: skip
    return {"prompt": {"play": random.choice(["silence:0.3", "ring:3:us"])} | limits}


def _sleep(random: Random, _depth: int) -> Step:
    return {"sleep": {"duration": random.choice([10, 500, 3000])}}


def _digits(random: Random, _depth: int) -> Step:
    return {"send_digits": {"digits": random.choice(["1", "1w2", "12#W3"])}}


def _set(random: Random, _depth: int) -> Step:
    return {"set": {"x": random.randint(0, 2)}}


def _hangup(random: Random, _depth: int) -> Step:
    return {"hangup": _maybe(random, 0.6, reason=random.choice(["busy", "decline", "hangup"]))}


def _answer(random: Random, _depth: int) -> Step:
    return {"answer": _maybe(random, 0.2, max_duration=random.choice([2, 9]), codecs="PCMA")}


def _detect(random: Random, _depth: int) -> Step:
    return {
        "detect_machine": {"status_url": f"{APP}/detect", "timeout": 4.0}
        | _maybe(random, 0.3, wait=False)
    }


def _conference(random: Random, _depth: int) -> Step:
    return {
        "join_conference": {"name": random.choice("pq")}
        | _maybe(
            random, 0.2, start_on_enter=False, end_on_exit=True, muted=True,
            record="record-from-start", status_callback=f"{APP}/conference", max_participants=2,
            wait_url=f"{APP}/wait",
        )
    }  # fmt: skip


def _execute(random: Random, depth: int) -> Step:
    dest = random.choice(["other", "other", f"{APP}/random", "nosuch"])
    step: dict[str, Any] = {"dest": dest}
    if random.random() < 0.3:
        step["on_return"] = steps(random, depth - 1, most=2)
    return {"execute": step}


def _transfer(random: Random, _depth: int) -> Step:
    return {"transfer": {"dest": random.choice(["other", f"{APP}/random"])}}


def _cond(random: Random, depth: int) -> Step:
    return {
        "cond": [
            {"when": f"vars.x == {random.randint(0, 2)}", "then": steps(random, depth - 1)},
            {"else": steps(random, depth - 1)},
        ]
    }


def _refer(random: Random, _depth: int) -> Step:
    told = _maybe(random, 0.5, status_url=f"{APP}/refer")
    return {"sip_refer": {"to_uri": address(random)} | told}


def _tap(random: Random, _depth: int) -> Step:
    uri = random.choice(["rtp://192.0.2.9:4000", "ws://192.0.2.9/tap"])
    return {
        "tap": {"uri": uri, "direction": random.choice(["speak", "listen", "both"])}
        | _maybe(random, 0.3, control_id="t", status_url=f"{APP}/tap")
    }


def _stream(random: Random, _depth: int) -> Step:
    return {
        "stream": {"url": "wss://app.example/stream"}
        | _maybe(random, 0.3, track="both_tracks", status_url=f"{APP}/stream", control_id="s")
    }


def _stop_live(random: Random, _depth: int) -> Step:
    return random.choice([{"stop_tap": {}}, {"stop_stream": {}}])


def _destination(random: Random, depth: int) -> dict[str, Any]:
    to: dict[str, Any] = {"to": address(random)}
    to |= _maybe(
        random, 0.25, timeout=random.choice([1, 4, 20]), max_duration=random.choice([1, 8, 20]),
        codecs=random.choice(["PCMA", "PCMU,PCMA", "PCMU", "OPUS"]), call_state_url=f"{APP}/state",
        call_state_events=["created", "ringing", "answered", "ended"],
        status_url=f"{APP}/connect", from_name="X", headers=[{"name": "X-A", "value": "b"}],
    )  # fmt: skip
    if random.random() < 0.2:
        to |= {"username": "me", "password": "secret"}
    if random.random() < 0.25:
        to["confirm_timeout"] = random.choice([1, 6])
        to["confirm"] = (
            f"{APP}/confirm" if random.random() < 0.4
            else steps(random, depth - 1, confirm=True)
        )  # fmt: skip
    return to


def _connect(random: Random, depth: int) -> Step:
    def several(most: int) -> list[dict[str, Any]]:
        return [_destination(random, depth) for _ in range(random.randint(1, most))]

    form = random.choice(["to", "to", "serial", "parallel", "serial_parallel"])
    if form == "to":
        step = _destination(random, depth)
    elif form == "serial_parallel":
        step = {form: [several(2) for _ in range(random.randint(1, 3))]}
    else:
        step = {form: several(3)}
    step |= _maybe(
        random, 0.3, answer_on_bridge=True, status_url=f"{APP}/connect",
        ringback=random.choice([["ring:2:us"], ["silence:0.2"], ["https://app.example/x.wav"]]),
    )  # fmt: skip
    if random.random() < 0.15:
        step["transfer_after_bridge"] = f"{APP}/random"
    elif random.random() < 0.3:
        step["result"] = {
            "variable": "connect_result",
            "case": {
                "connected": steps(random, depth - 1, most=2),
                "failed": steps(random, depth - 1, most=2),
            },
        }
    return {"connect": step}


QUIET: list[Maker] = [
    _play, _prompt, _record, _record_call, _record_call, _stop, _digits, _set, _tap, _stream,
    _stop_live,
]  # fmt: skip
FREE: list[Maker] = [_sleep, _answer, _hangup, _detect, _conference, _transfer, _refer]
NESTED: list[Maker] = [*[_connect] * 6, _cond, _execute]
