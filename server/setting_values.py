"""How a setting's text becomes a value.

Each raises ValueError with words that follow the text in a complaint: "is not a file".
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from server.upstream.origins import parse_origin


def address(text: str) -> str:
    """Return HOST:PORT or unix:PATH."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        return text
    try:
        return host_port(text)
    except ValueError:
        raise ValueError("is neither HOST:PORT nor unix:PATH") from None


def host_port(text: str) -> str:
    """Return HOST:PORT."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError("is not HOST:PORT")
    return text


def key(text: str) -> str:
    """Return a secret that a header can hold."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("holds characters that no key has")
    return text


def base_url(text: str) -> str:
    """Return an http or https URL without a slash at its end."""
    if not text.startswith(("https://", "http://")):
        raise ValueError("is not an http or https URL, such as https://api.openai.com/v1")
    return text.rstrip("/")


def file(text: str) -> Path:
    """Return the path of a file that is there."""
    path = Path(text)
    if not path.is_file():
        raise ValueError("is not a file")
    return path


def database(text: str) -> str:
    """Return the URL of a database of a known kind."""
    try:
        backend = make_url(text).get_backend_name()
    except ArgumentError:
        backend = ""
    if backend not in {"sqlite", "postgresql"}:
        raise ValueError("is neither sqlite:///PATH nor postgresql://HOST/NAME")
    return text


def redis(text: str) -> str:
    """Return a URL that Redis' client takes."""
    # Only who shares limits needs the client, which takes a while to load.
    from redis import ConnectionPool  # noqa: PLC0415

    try:
        # The name for a socket file that the limits library wants, and the client does not know.
        ConnectionPool.from_url(text.replace("redis+unix://", "unix://"))
    except ValueError:
        raise ValueError("is not a URL such as redis://127.0.0.1:6379/0") from None
    return text


def origins(text: str) -> tuple[str, ...]:
    """Return origins that are separated by commas or spaces."""
    origins = tuple(text.replace(",", " ").split())
    for origin in origins:
        try:
            parse_origin(origin)
        except ValueError:
            raise ValueError("must list origins such as http://127.0.0.1:9000") from None
    return origins


def seconds(text: str) -> float:
    """Return seconds above 0, a day at the most."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise ValueError("is not a number of seconds above 0")
    return seconds


def cancel(text: str) -> str:
    """Return what becomes of a paid call whose caller left: "finish" or "unbilled"."""
    if text not in {"finish", "unbilled"}:
        raise ValueError("is neither finish nor unbilled")
    return text


def count_or_none(text: str) -> int:
    """Return a whole number of 0 or more."""
    if not text.isdecimal():
        raise ValueError("is not a whole number of 0 or more")
    return int(text)


def count(text: str) -> int:
    """Return a whole number of 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("is not a whole number of 1 or more")
    return int(text)


def switch(text: str) -> bool:
    """Return what "1" or "0" say, and their other names."""
    switches = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in switches:
        raise ValueError("is neither 1 nor 0")
    return switches[text.lower()]
