"""The way from an older version of the database to this one, by alembic.

Loading alembic takes longer than the rest of the accounts: imported where something is to be done.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from server.accounts.store import MIGRATIONS, SchemaError


def upgrade(connection: Connection) -> None:
    """Bring the database to this version, inside the connection's transaction.

    Raises `SchemaError` for a database of a version that this program does not know.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaError(
            f"The database is of a version that this program does not know: {error}."
        ) from None
