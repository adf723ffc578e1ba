"""`python -m gateway_http`: starts the HTTP front with the settings of the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from gateway_http import settings
from gateway_http.memory import give_memory_back
from gateway_http.serve import serve
from gateway_http.tracing_export import Export, TracingError


def main(serve: Callable[[settings.Settings], int] = serve) -> int:
    """Serve; return 2 with one line on standard error when that cannot begin."""
    try:
        chosen = settings.from_environment()
        with Export(os.environ, "imageedit-front"):
            return serve(chosen)
    except (settings.SettingsError, TracingError) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"IMAGEEDIT_HTTP_ADDRESS: cannot listen there: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    give_memory_back()
    sys.exit(main())
