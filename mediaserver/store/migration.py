"""Bring a database's tables to the revision this program was written for.

Alembic takes longer to import than a start may take, so nothing imports this module unless the
database names another revision than `schema.REVISION`. A new SQLite database is made by
`schema.make` instead.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine

from mediaserver.errors import LocalError

# A file system path, not `package:folder`: alembic loads the scripts by path either way.
SCRIPTS: Final = Path(__file__).parent / "migrations"


def upgrade(engine: Engine) -> None:
    """Run what is missing on `engine`, made for this call alone, in one transaction.

    Blocks. Another process doing the same is waited for. Raises `LocalError` when the database
    comes from a newer program.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        with engine.begin() as connection:
            _run(connection)
    except CommandError as error:
        raise LocalError(
            f"the database was made by a newer version of this program: {error}"
        ) from None
    finally:
        engine.dispose()


def _run(connection: Connection) -> None:
    config = Config()
    # Config interpolates %: a folder's name may have one.
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
