"""The one table of how an attempt without a picture can end, and what follows from it.

What follows for the money stands above all: where the vendor may bill the attempt, nothing is
submitted again, neither there nor elsewhere, whatever the other columns say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from server.catalog import ProviderFacts
from server.domain import EditError
from server.providers.base import Failure, FailureKind
from server.upstream import failures


class Cost(Enum):
    """When a vendor may bill an attempt that was sent; one that was not is never billed."""

    NONE = "never: its own error, in its own documented shape"
    UNLESS_FAILURES_ARE_FREE = "unknown, but where its contract bills pictures alone"
    UNLESS_CANCEL_IS_FREE = "unknown, but where its contract bills nothing that is cut short"
    PAID = "it may have made a picture"


@dataclass(frozen=True, slots=True)
class Fate:
    """A row. `name` is for logs and metrics, `error` makes the caller's error.

    `onward`: the next route may help. `again`: one more try at the same route may help, where no
    other route is left. `fault`: it counts for the breaker.
    """

    name: str
    cost: Cost
    onward: bool
    again: bool
    fault: bool
    error: Callable[[Failure | None], EditError]

    def may_be_billed(self, facts: ProviderFacts) -> bool:
        """Tell whether an attempt that was sent and had no picture in answer may be billed."""
        match self.cost:
            case Cost.NONE:
                return False
            case Cost.UNLESS_FAILURES_ARE_FREE:
                return not facts.failures_are_free
            case Cost.UNLESS_CANCEL_IS_FREE:
                return not facts.cancel_stops_billing
            case Cost.PAID:
                return True


FAILURES_FREE, CANCEL_FREE = Cost.UNLESS_FAILURES_ARE_FREE, Cost.UNLESS_CANCEL_IS_FREE
YES, NO = True, False
# fmt: off
TABLE = (
    #    name             cost           onward again fault
    Fate("circuit_open",  Cost.NONE,     YES,   NO,   NO,  failures.busy),
    Fate("unsent",        Cost.NONE,     YES,   YES,  YES, failures.busy),
    Fate("limited",       Cost.NONE,     YES,   YES,  NO,  failures.busy),
    Fate("overloaded",    Cost.NONE,     YES,   YES,  YES, failures.busy),
    Fate("failed",        Cost.NONE,     YES,   NO,   YES, failures.failed),
    Fate("refused",       Cost.NONE,     NO,    NO,   NO,  failures.refused),
    Fate("model_gone",    Cost.NONE,     YES,   NO,   NO,  failures.gone),
    Fate("misconfigured", Cost.NONE,     YES,   NO,   NO,  failures.misconfigured),
    Fate("foreign",       FAILURES_FREE, YES,   NO,   YES, failures.failed),
    Fate("cut",           FAILURES_FREE, YES,   NO,   YES, failures.failed),
    Fate("too_large",     Cost.PAID,     NO,    NO,   YES, failures.failed),
    Fate("nonsense",      Cost.PAID,     NO,    NO,   YES, failures.failed),
    Fate("undelivered",   Cost.PAID,     NO,    NO,   YES, failures.failed),
    Fate("timed_out",     CANCEL_FREE,   NO,    NO,   YES, failures.timed_out),
    Fate("deadline",      CANCEL_FREE,   NO,    NO,   NO,  failures.timed_out),
    Fate("cancelled",     CANCEL_FREE,   NO,    NO,   NO,  failures.cancelled),
)
# fmt: on
FATES = {fate.name: fate for fate in TABLE}

# The vendor's own words, as its provider understands them.
BY_KIND = {
    FailureKind.REFUSED: FATES["refused"],
    FailureKind.MODEL_GONE: FATES["model_gone"],
    FailureKind.MISCONFIGURED: FATES["misconfigured"],
    FailureKind.LIMITED: FATES["limited"],
    FailureKind.BUSY: FATES["overloaded"],
    FailureKind.FAILED: FATES["failed"],
    FailureKind.UNKNOWN: FATES["foreign"],
}


class AttemptFailed(Exception):
    """An attempt gave no picture. `billable`: the vendor may bill it, so nothing else is tried."""

    def __init__(self, fate: Fate, *, billable: bool = False, said: Failure | None = None) -> None:
        self.fate = fate
        self.billable = billable
        self.said = said
        self.error = fate.error(said)
        super().__init__(self.error.message)

    @property
    def final(self) -> bool:
        """Whether nothing else can help, or may be tried."""
        return self.billable or not self.fate.onward
