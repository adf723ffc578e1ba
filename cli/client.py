"""The HTTP client of the command: requests to the gateway, and what its refusals mean."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from typing import Any

import click
import requests

# A status's exit code; what is not here ends with 7 from 500 on, else with 3.
EXIT_CODES = {401: 4, 403: 4, 402: 5, 429: 6, 503: 6}
UNREACHABLE = 8
# Longer than an attempt may take, so that the gateway's own answer comes first.
READ_TIMEOUT = 900.0
CONNECT_TIMEOUT = 10.0
COMPLETION_TIMEOUT = 1.0
DEFAULT_URL = "http://127.0.0.1:8080"
HINTS = {
    401: "Make a key by `imageedit keys create --name me --credits 10.00`, and give it by --key or"
    " IMAGEEDIT_KEY.",
    402: "Add credit by `imageedit credits add KEY_ID 10.00`; `imageedit keys list` shows the id.",
}

url_option = click.option(
    "--url",
    envvar="IMAGEEDIT_URL",
    default=DEFAULT_URL,
    show_default=True,
    show_envvar=True,
    help="Where the gateway is.",
)


class Refused(click.ClickException):
    """The gateway's refusal, or its absence; ends the command with its message and exit code.

    `error` is the error object of the answer, `None` where there was no answer.
    """

    def __init__(self, message: str, code: int, error: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click's own do so, too
        self.error = error or {"message": message, "type": "unreachable"}


class Upload(io.BytesIO):
    """A request body that tells how much of it was read: `progress` hears bytes."""

    def __init__(self, body: bytes, progress: Callable[[int], None]) -> None:
        super().__init__(body)
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes."""
        data = super().read(size)
        self._progress(len(data))
        return data


def call(
    method: str,
    url: str,
    headers: dict[str, str] | None = None,
    data: Upload | None = None,
    *,
    stream: bool = False,
) -> requests.Response:
    """Return the gateway's answer if it is a success, else raise `Refused`.

    With `stream` its body is still to be read.
    """
    try:
        answer = requests.request(
            method,
            url,
            headers=headers or {},
            data=data,
            stream=stream,
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
        )
        if answer.ok:
            return answer
        error = _error(answer)
    except requests.RequestException as failure:
        raise unreachable(url, failure) from None
    raise refusal(error, answer.status_code, answer.headers)


def aliases(context: click.Context, option: click.Parameter, incomplete: str) -> list[str]:
    """Return the gateway's models that begin so, for a shell's completion; none where it is off."""
    del option
    url = context.params.get("url") or os.environ.get("IMAGEEDIT_URL") or DEFAULT_URL
    try:
        listed = requests.get(f"{url.rstrip('/')}/v1/models", timeout=COMPLETION_TIMEOUT).json()
        return [model["id"] for model in listed["data"] if model["id"].startswith(incomplete)]
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return []


def refusal(error: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> Refused:
    """Return the refusal of an error object that came with a status and headers."""
    param = error.get("param")
    facts = [f'field "{param}"'] if param else []
    facts += [f"HTTP {status}", f"request {headers.get('x-request-id', 'none')}"]
    words = [f"{error['message']} ({', '.join(facts)})"]
    if status in HINTS:
        words.append(HINTS[status])
    elif param == "model":
        words.append("`imageedit models` lists what can be used.")
    elif "retry-after" in headers:
        words.append(f"It may be tried again in {headers['retry-after']} s.")
    code = EXIT_CODES.get(status, 7 if status >= 500 else 3)
    return Refused("\n".join(words), code, error)


def unreachable(url: str, failure: Exception) -> Refused:
    """Return what to say of a connection that failed."""
    return Refused(
        f"The gateway at {url.partition('/v1/')[0]} can't be reached ({type(failure).__name__})."
        " Is it running? Start one with `imageedit serve`, or name another with --url.",
        UNREACHABLE,
    )


def _error(answer: requests.Response) -> Mapping[str, Any]:
    try:
        error = answer.json()["error"]
        return {**error, "message": str(error["message"])}
    except (ValueError, KeyError, TypeError):
        return {"message": "The answer is not one of this gateway's.", "type": "unknown"}
