"""The command line: one module a command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import mediaserver

from ..errors import MediaServerError
from . import call, check, demo, recordings, serve
from .usage import UsageFault

app = typer.Typer(
    name="mediaserver",
    help="A SIP/RTP media server that answers, plays, prompts and records calls.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve.serve)
app.command()(check.check_config)
app.command()(call.call)
app.add_typer(recordings.app, name="recordings")
app.command()(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mediaserver {mediaserver.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before the command."""


def main() -> None:
    """Run a command; what goes wrong is one sentence on standard error and a status that says so.

    Status 1: the command failed. 2: it was called wrongly. 130: interrupted.
    """
    try:
        app(prog_name="mediaserver")
    except MediaServerError as error:
        print(f"mediaserver: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageFault) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
