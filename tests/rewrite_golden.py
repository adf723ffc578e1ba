"""Rewrites request.json and result.json of every golden case; the diff is the review.

Usage: python -m tests.rewrite_golden
"""

from __future__ import annotations

from server.providers.registry import PROVIDERS
from tests.golden_cases import (
    ROOT,
    answer_of,
    cases,
    draw_missing_pictures,
    edit_of,
    outcome_of,
    request_of,
    write,
)


def main() -> None:
    """Write what the providers make of the cases now."""
    draw_missing_pictures()
    for case in cases():
        provider = PROVIDERS[case.partition("/")[0]]
        if (ROOT / case / "edit.json").exists():
            write(case, "request.json", request_of(provider.build(edit_of(case))))
        if (ROOT / case / "response.json").exists():
            write(case, "result.json", outcome_of(provider, answer_of(case)))
    print(f"rewrote {len(cases())} golden cases")


if __name__ == "__main__":
    main()
