"""`python -m server`: starts the gRPC service with the settings of the environment."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from server.accounts.store import SchemaError
from server.calls import JsonFormatter
from server.catalog_file import CatalogError
from server.domain import EditError
from server.memory import give_memory_back
from server.serve import run
from server.settings import Settings, SettingsError, read_settings
from server.tracing_export import Export, TracingError


def main(run: Callable[[Settings], int] = run) -> int:
    """Run the service; return 0 after a drain, 1 when cut short, 2 for unusable settings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        with Export(os.environ, "imageedit-service"):
            return run(read_settings(os.environ))
    except (SettingsError, CatalogError, SchemaError, EditError, TracingError, OSError) as error:
        sys.stderr.write(f"server: {error}\n")
        return 2


if __name__ == "__main__":
    give_memory_back()
    sys.exit(main())
