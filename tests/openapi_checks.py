"""A check for schemathesis: no answer has a header that the description does not name."""

from __future__ import annotations

import schemathesis

# Of HTTP itself, on every answer.
OF_HTTP = {
    *("allow", "connection", "content-length", "content-type", "date", "keep-alive", "server"),
    *("transfer-encoding",),
}


@schemathesis.check
def named_headers(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """Fail for a header that the description does not name."""
    del ctx
    told = case.operation.responses.find_by_status_code(response.status_code)
    if told is None:
        return  # which is another check's
    named = {name.lower() for name, _ in told.headers.items()}
    unnamed = {name.lower() for name in response.headers} - named - OF_HTTP
    assert not unnamed, f"{sorted(unnamed)} are not in the description"
