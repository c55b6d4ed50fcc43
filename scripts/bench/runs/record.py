"""The server under one-way calls: SIP, `record` with every stop condition on, callbacks, files."""

from __future__ import annotations

import time

from ..figures import Figure
from ..generator import generate
from ..load import Load, Outcome
from ..options import Options
from ..process import Child
from ..receiver import Listening, receive
from ..server import Server, roomy
from ..speech import Voice
from ..usage import read_usage
from .harvest import complaints, gather, refusals
from .measure import Say, answer_of, figure_of, folder_of, measure


def run_record(calls: int, options: Options, voice: Voice, say: Say) -> Figure:
    """Measure the server under `calls` calls, then look at everything it left."""
    load = Load(
        streams=calls,
        standing=calls,
        stream_first=options.stream_first,
        seconds=options.seconds,
        sip_port=options.sip_port,
        caller_port=options.caller_port,
        setup_rate=options.setup_rate,
    )
    with (
        folder_of(options, f"record-{calls}") as folder,
        Child("receiver", options.generator_core, receive, options.callback_port) as receiver,
        Server(options, folder, roomy(calls, options.setup_rate)) as server,
    ):
        receiver.expect(Listening, 30)
        server.wait_until_ready()
        time.sleep(1.0)
        idle = read_usage(server.pid)
        with Child("generator", options.generator_core, generate, load) as generator:
            patience = calls / options.setup_rate + 45
            name = f"record-{calls}"
            measured = measure(server.pid, generator, options, patience, name, calls)
            ticks = server.tick_lateness()
            say(f"{calls} calls, hanging up")
            outcome = generator.expect(Outcome, patience + 45)
        say(f"{calls} calls, waiting for callbacks and comparing every file")
        harvest = gather(server, receiver, options, voice, outcome)
        server.stop()
        figure = figure_of("record", "mediaserver", calls, measured, outcome)
        figure.tick_p50_ms, figure.tick_p99_ms = ticks
        figure.kib_per_call = (measured.before.rss - idle.rss) / calls / 1024
        figure.recorded = harvest.recorded
        figure.answer = answer_of(outcome.answer_seconds)
        figure.problems += refusals(outcome) + harvest.problems + complaints(server)
    return figure
