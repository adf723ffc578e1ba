"""`python -m gateway_http`: starts the HTTP front with the settings of the environment."""

from __future__ import annotations

import sys

from gateway_http import settings
from gateway_http.serve import serve


def main() -> int:
    """Serve; return 2 with one line on standard error when that cannot begin."""
    try:
        return serve(settings.from_environment())
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"IMAGEEDIT_HTTP_ADDRESS: cannot listen there: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
