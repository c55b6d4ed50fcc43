"""Many calls that end within a minute: how long until the files of each are there."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from ..figures import Ending
from ..generator import generate
from ..load import Load, Outcome
from ..options import Options
from ..process import Child
from ..receiver import Listening, receive
from ..server import Server, roomy
from ..speech import FRAME, RATE, Voice
from ..usage import read_usage
from .harvest import complaints, gather, refusals
from .measure import Say, folder_of

CALLS: Final = 800
WITHIN: Final = 60.0
"""Seconds in which all of them end, and before that in which all of them begin."""


def run_ending(options: Options, voice: Voice, say: Say) -> Ending:
    """Let `CALLS` calls come, stand for a moment, and end; look at every file."""
    rate = CALLS / WITHIN
    slow = dataclasses.replace(options, setup_rate=rate)
    load = dataclasses.replace(Load.by_sip(CALLS, options), seconds=2.0, setup_rate=rate)
    with (
        folder_of(options, "ending") as folder,
        Child("receiver", options.generator_core, receive, options.callback_port) as receiver,
        Server(slow, folder, roomy(CALLS, 100.0)) as server,
    ):
        receiver.expect(Listening, 30)
        server.wait_until_ready()
        before = read_usage(server.pid)
        with Child("generator", options.generator_core, generate, load) as generator:
            generator.expect(object, WITHIN + 60)
            say("800 calls, ending")
            outcome = generator.expect(Outcome, WITHIN + 120)
        say("800 calls, waiting for their files")
        harvest = gather(server, receiver, options, voice, outcome)
        after = read_usage(server.pid)
        server.stop()
        waits = np.array(harvest.recorded.made_seconds or [0.0])
        minutes = FRAME * sum(outcome.packets) / RATE / 60
        return Ending(
            calls=CALLS,
            seconds=WITHIN,
            audio_seconds=float(np.median(outcome.packets)) * FRAME / RATE,
            made_p50_s=float(np.quantile(waits, 0.5)),
            made_p99_s=float(np.quantile(waits, 0.99)),
            made_max_s=float(waits.max()),
            render_ms_per_minute=1000 * (after.children_cpu - before.children_cpu) / minutes,
            problems=refusals(outcome) + harvest.problems + complaints(server),
        )
