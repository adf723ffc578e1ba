"""What the caller is told of a failed attempt: the contract's words, and nothing of the vendor's.

Each takes what the vendor said, `None` where no vendor did, and returns the error.
"""

from __future__ import annotations

from server.domain import EditError, Situation
from server.providers.base import Failure

BUSY_RETRY_AFTER = 10.0


def refused(said: Failure | None) -> EditError:
    """Refuse the content or its form: it is the caller's to mend."""
    if said is not None and said.moderation:
        message = (
            "The model's moderation refused this prompt or picture. Change it before trying again."
        )
    else:
        field = said.field if said else None
        what = f'"{field}"' if field else "the prompt, a picture or a parameter"
        message = f"The model refused {what} as it is. Change it before trying again."
    return EditError(Situation.BAD_REQUEST, message, field=said.field if said else None)


def busy(said: Failure | None) -> EditError:
    """Say that nobody can take the edit, and that a repeat is safe."""
    return EditError(
        Situation.UPSTREAM_BUSY,
        "No upstream can take the edit now; nothing was charged. Try again in a moment.",
        retry_after=(said.retry_after if said else None) or BUSY_RETRY_AFTER,
    )


def gone(_: Failure | None) -> EditError:
    """Say that the vendor withdrew the model."""
    return EditError(
        Situation.UPSTREAM_FAILED,
        "The upstream does not offer this model any more; nothing was charged. Choose another.",
        field="model",
    )


def misconfigured(_: Failure | None) -> EditError:
    """Say that our own key, balance or permission there is refused."""
    return EditError(
        Situation.UPSTREAM_FAILED,
        "The upstream refused this gateway's own account; nothing was charged. Its operator must"
        " look into it.",
    )


def failed(_: Failure | None) -> EditError:
    """Say that a vendor was given the edit, and no picture came of it."""
    return EditError(
        Situation.UPSTREAM_FAILED, "The upstream failed to deliver a picture; nothing was charged."
    )


def timed_out(_: Failure | None) -> EditError:
    """Say that the attempt's time, or the caller's, was over."""
    return EditError(
        Situation.UPSTREAM_TIMEOUT,
        "The upstream used up the time of an attempt; nothing was charged.",
    )


def cancelled(_: Failure | None) -> EditError:
    """Say that the caller left, or that the service stops."""
    return EditError(Situation.CANCELLED, "The caller left before the edit was done.")
