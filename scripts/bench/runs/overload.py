"""More calls than the server takes on: those it took are whole, the others told to come back."""

from __future__ import annotations

from dataclasses import replace

from ..figures import Overload
from ..generator import generate
from ..load import Load, Outcome
from ..options import MOST_TIMES, Options
from ..process import Child
from ..receiver import Listening, receive
from ..server import Server
from ..speech import Voice
from .harvest import complaints, gather
from .measure import Say, answer_of, folder_of, generator_faults, measure


def run_overload(
    limits: dict[str, object], capacity: int, options: Options, voice: Voice, say: Say
) -> Overload:
    """Offer three times the capacity, three times as fast as calls are placed elsewhere."""
    offered, rate = MOST_TIMES * capacity, MOST_TIMES * options.setup_rate
    load = replace(Load.by_sip(offered, options), setup_rate=rate)
    limit = str(limits["max_calls"])
    with (
        folder_of(options, f"overload-{limit}") as folder,
        Child("receiver", options.generator_core, receive, options.callback_port) as receiver,
        Server(options, folder, limits) as server,
    ):
        receiver.expect(Listening, 30)
        server.wait_until_ready()
        with Child("generator", options.generator_core, generate, load) as generator:
            patience = offered / rate + 75
            name = f"overload-{limit}"
            measure(server.pid, generator, options, patience, name, offered)
            _, tick_p99 = server.tick_lateness()
            outcome = generator.expect(Outcome, patience + 45)
        say(f"{name}, waiting for callbacks and comparing every file")
        harvest = gather(server, receiver, options, voice, outcome)
        server.stop()
        found = Overload(
            limit=limit,
            offered=offered,
            rate=rate,
            accepted=outcome.statuses.count(200),
            refused=outcome.patient,
            answer=answer_of(outcome.answer_seconds),
            tick_p99_ms=tick_p99,
            recorded=harvest.recorded,
        )
        found.problems += generator_faults(outcome) + harvest.problems + complaints(server)
    if not found.accepted:
        found.problems.append("not a single call was accepted")
    others = offered - found.accepted - found.refused
    if others:
        found.problems.append(f"{others} calls were neither accepted nor told when to come back")
    return found
