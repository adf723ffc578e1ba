"""How much of what takes long is tested: a part by `make test`, the whole by `make check`."""

from __future__ import annotations

import os
from typing import TypeVar

Amount = TypeVar("Amount")

WHOLE = bool(os.environ.get("IMAGEEDIT_TEST_WHOLE"))


def of(whole: Amount, part: Amount) -> Amount:
    """Return what is to be tested now."""
    return whole if WHOLE else part
