"""The HTTP client of the command: requests to the gateway, and how its errors end the command."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NoReturn

import click
import requests

# A status's exit code; what is not here ends with 7 from 500 on, else with 3.
EXIT_CODES = {401: 4, 403: 4, 402: 5, 429: 6, 503: 6}
UNREACHABLE = 8
# Longer than an attempt may take, so that the gateway's own answer comes first.
READ_TIMEOUT = 900.0
CONNECT_TIMEOUT = 10.0

url_option = click.option(
    "--url",
    envvar="IMAGEEDIT_URL",
    default="http://127.0.0.1:8080",
    show_default=True,
    show_envvar=True,
    help="Where the gateway is.",
)


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
    method: str, url: str, headers: dict[str, str] | None = None, data: Upload | None = None
) -> requests.Response:
    """Return the gateway's answer if it is a success, else end the command with its message."""
    try:
        answer = requests.request(
            method,
            url,
            headers=headers or {},
            data=data,
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
        )
    except requests.RequestException as error:
        end(
            f"The gateway at {url} can't be reached ({type(error).__name__})."
            " Start one with `imageedit serve`, or name another with --url.",
            UNREACHABLE,
        )
    if not answer.ok:
        end(_message(answer), EXIT_CODES.get(answer.status_code, _by_class(answer.status_code)))
    return answer


def end(message: str, code: int) -> NoReturn:
    """End the command with a message on standard error and an exit code."""
    click.echo(f"Error: {message}", err=True)
    raise click.exceptions.Exit(code)


def _by_class(status: int) -> int:
    return 7 if status >= 500 else 3


def _message(answer: requests.Response) -> str:
    try:
        message = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = "The answer is not one of this gateway's."
    request_id = answer.headers.get("x-request-id", "none")
    return f"{message} (HTTP {answer.status_code}, request {request_id})"
