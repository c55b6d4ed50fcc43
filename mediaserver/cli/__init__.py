"""The command line: one module a command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import mediaserver

from ..errors import MediaServerError
from .collector import while_loading
from .usage import UsageFault


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mediaserver {mediaserver.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before the command."""


def commands(wanted: str | None) -> typer.Typer:
    """Return the command `wanted`, with nothing loaded for the others; all if it is none."""
    app = typer.Typer(
        name="mediaserver",
        help="A SIP/RTP media server that answers, plays, prompts and records calls.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    names = ("serve", "check-config", "call", "recordings", "demo")
    for name in (wanted,) if wanted in names else names:
        match name:
            case "serve":
                from .serve import serve

                app.command()(serve)
            case "check-config":
                from .check import check_config

                app.command()(check_config)
            case "call":
                from .call import call

                app.command()(call)
            case "recordings":
                from . import recordings

                app.add_typer(recordings.app, name="recordings")
            case "demo":
                from .demo import demo

                app.command()(demo)
    return app


def main() -> None:
    """Run a command; what goes wrong is one sentence on standard error and a status that says so.

    Status 1: the command failed. 2: it was called wrongly. 130: interrupted.
    """
    try:
        with while_loading():
            app = commands(sys.argv[1] if len(sys.argv) > 1 else None)
        app(prog_name="mediaserver")
    except MediaServerError as error:
        print(f"mediaserver: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageFault) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
