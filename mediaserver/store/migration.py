"""Bring a database's tables to the revision this program was written for.

Alembic takes longer to import than a start may take, so nothing imports this module unless the
database names another revision than `schema.REVISION`.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from mediaserver.errors import LocalError

# A file system path, not `package:folder`: alembic loads the scripts by path either way.
SCRIPTS: Final = Path(__file__).parent / "migrations"


def upgrade(engine: AsyncEngine) -> None:
    """Run what is missing on `engine`, made for this call alone, in one transaction.

    Blocks: for a thread that has no event loop. Another process doing the same is waited for.
    Raises `LocalError` when the database comes from a newer program.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        asyncio.run(_upgrade(engine))
    except CommandError as error:
        raise LocalError(
            f"the database was made by a newer version of this program: {error}"
        ) from None


async def _upgrade(engine: AsyncEngine) -> None:
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


def _run(connection: Connection) -> None:
    config = Config()
    # Config interpolates %: a folder's name may have one.
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
