"""Which programs and recordings of others the tests can use on this machine.

`python scripts/interop_tools.py --report` prints one line when something is missing: what
`make test` leaves out and how to get it. With MEDIASERVER_REQUIRE_INTEROP=1 that is an error.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REQUIRE: Final = "MEDIASERVER_REQUIRE_INTEROP"
"""Set to 1 where a missing tool is a failure, not a reason to skip."""

ASTERISK_SPEECH: Final = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
ITALIAN_SPEECH: Final = Path("/usr/share/asterisk/sounds/it_IT_m_Carlo")
POCKETSPHINX_SPEECH: Final = Path("/usr/share/pocketsphinx/test/data")


@dataclass(frozen=True, slots=True)
class Tool:
    """Something of others that a test needs."""

    name: str
    package: str
    """Its Debian package."""
    proves: str
    """What is left untested without it."""
    program: str | None = None
    speech: Path | None = None

    @property
    def present(self) -> bool:
        """Whether it is installed here."""
        if self.program is not None:
            return shutil.which(self.program) is not None
        return self.speech is not None and next(self.speech.rglob("*.wav"), None) is not None


TOOLS: Final = {
    tool.name: tool
    for tool in (
        Tool("sipp", "sip-tester", "calls from SIPp", program="sipp"),
        Tool("baresip", "baresip-core", "calls from baresip", program="baresip"),
        Tool(
            "speech",
            "asterisk-core-sounds-en-wav",
            "real speech at 8 kHz",
            speech=ASTERISK_SPEECH,
        ),
        Tool(
            "italian",
            "asterisk-core-sounds-it-wav",
            "real speech of another voice",
            speech=ITALIAN_SPEECH,
        ),
        Tool(
            "pocketsphinx",
            "pocketsphinx-testdata",
            "real speech at 16 kHz",
            speech=POCKETSPHINX_SPEECH,
        ),
    )
}


def missing(names: Iterable[str] = TOOLS) -> list[Tool]:
    """Return those of the named tools that are not installed."""
    return [TOOLS[name] for name in names if not TOOLS[name].present]


def required() -> bool:
    """Tell whether this run may leave nothing out."""
    return os.environ.get(REQUIRE, "") not in {"", "0"}


def sentence(tools: Iterable[Tool]) -> str:
    """Say in one line what is left out without `tools`, and how to get them."""
    tools = list(tools)
    left_out = ", ".join(tool.proves for tool in tools)
    packages = " ".join(tool.package for tool in tools)
    return f"leaves out {left_out}; to have them: apt-get install {packages}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", action="store_true", help="say what is missing, if anything is")
    parser.add_argument("--packages", action="store_true", help="print the missing packages alone")
    options = parser.parse_args(arguments)
    absent = missing()
    if options.packages:
        print(*(tool.package for tool in absent))
        return 0
    if absent:
        print(f"make test {sentence(absent)}", file=sys.stderr if required() else sys.stdout)
    return 1 if absent and required() else 0


if __name__ == "__main__":
    sys.exit(main())
