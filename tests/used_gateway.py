"""A gateway in use, all that it says and writes kept to be searched."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import requests

from server.calls import JsonFormatter
from tests.canaries import canary
from tests.edits import Edit, by_grpc, by_stream
from tests.fault_upstream import Connection, FaultUpstream
from tests.interrupted import prepared
from tests.running import Gateway

PROVIDER_KEYS = {"openai": "OPENAI", "openrouter": "OPENROUTER", "siliconflow": "SILICONFLOW"}
ATTEMPT_SECONDS = "1.0"  # what never ends is ended by this


@dataclass
class Used:
    """A gateway after all that was done to it."""

    folder: Path
    keys: dict[str, str] = field(default_factory=dict)
    upstream_keys: dict[str, str] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    pictures: list[bytes] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    logs: dict[str, bytes] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    usage: dict[str, bytes] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)

    def fields(self, model: str, directive: str = "", **more: str) -> dict[str, str]:
        """Return fields with a prompt and a `user` that no other edit has."""
        number = len(self.prompts)
        prompt = self.prompts[f"prompt {number}"] = canary("prompt")
        user = self.users[f"user {number}"] = canary("user")
        return {"model": model, "prompt": f"{prompt} {directive}".strip(), "user": user} | more

    def files(self) -> dict[str, bytes]:
        """Return the files of the database and of its results as they are on the disk."""
        paths = self.folder.glob("imageedit.db*")
        own = [path for path in paths if path.is_file()]
        return {path.name: path.read_bytes() for path in own} | self.results()

    def results(self) -> dict[str, bytes]:
        """Return the pictures of results, which lie beside the database."""
        paths = self.folder.glob("imageedit.db-results/*")
        return {f"results/{path.name}": path.read_bytes() for path in paths}


class Door:
    """Ways in, all of whose answers are kept."""

    def __init__(self, gateway: Gateway, used: Used) -> None:
        self._gateway = gateway
        self._used = used

    def http(self, edit: Edit, key: str, **headers: str) -> requests.Response:
        named = {"authorization": f"Bearer {key}"} | headers
        with requests.Session() as session:
            return self.keep(session.send(prepared(self._gateway.url, edit, named), timeout=60))

    def get(self, path: str, key: str, **headers: str) -> requests.Response:
        named = {"authorization": f"Bearer {key}"} | headers
        return self.keep(requests.get(self._gateway.url + path, headers=named, timeout=60))

    def keep(self, answer: requests.Response) -> requests.Response:
        body = answer.content
        if answer.ok and answer.request.method == "POST":
            picture = base64.b64decode(answer.json()["data"][0].pop("b64_json"))
            self._used.pictures.append(picture)
            # The picture is what was asked for; searched is the file, not its base64.
            body = json.dumps({**answer.json(), "data": []}).encode() + picture
        name = f"HTTP answer {len(self._used.answers)}: {answer.status_code}"
        self._used.answers[name] = f"{dict(answer.headers)}".encode() + body
        self._used.codes.add(f"{answer.status_code}")
        return answer

    def grpc(self, edit: Edit, key: str, *, streamed: bool = False) -> None:
        asked = Edit(edit.fields, edit.images, edit.mask, key)
        try:
            answer = (by_stream if streamed else by_grpc)(self._gateway, asked)
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)  # noqa: PT017 -- for the type alone
            said = (error.details(), error.initial_metadata(), error.trailing_metadata())
            self._used.codes.add(error.code().name)
            text = f"{said}{error!r}{error.debug_error_string()}"  # type: ignore[attr-defined] # grpc's stubs lack it
            raw = b"".join(
                value if isinstance(value, bytes) else value.encode()
                for _, value in error.trailing_metadata() or ()
            )
            self._used.answers[f"gRPC answer {len(self._used.answers)}"] = text.encode() + raw
        else:
            self._used.answers[f"gRPC answer {len(self._used.answers)}"] = f"{answer}".encode()


def echo(_: FaultUpstream, connection: Connection) -> None:
    """Answer as no vendor should: with our key and the caller's words, in every place there is."""
    request = connection.read_request()
    key = str(request.header("authorization")).removeprefix("Bearer ")
    words = request.body.decode("latin-1")
    start = max(words.find("prompt-canary"), 0)
    prompt = words[start : start + 60].split('"')[0].split("\r")[0]
    status = int(prompt.rpartition("[echo ")[2][:3])
    text = f"refused {key} for {prompt}"
    error = {"message": text, "type": key, "code": prompt, "param": key, "metadata": {"raw": text}}
    body = json.dumps({"error": error, "message": text, "code": 20_012, "data": text}).encode()
    head = (
        f"HTTP/1.1 {status} {key}\r\nContent-Type: application/json\r\nX-Request-Id: {key}\r\n"
        f"Retry-After: {key}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    connection.write(head.encode() + body)


def upstream_settings(used: Used, urls: Mapping[str, str]) -> dict[str, str]:
    return {
        **urls,
        **{f"{PROVIDER_KEYS[name]}_API_KEY": key for name, key in used.upstream_keys.items()},
        "IMAGEEDIT_ATTEMPT_TIMEOUT": ATTEMPT_SECONDS,
    }


@contextmanager
def wide_open_log(into: io.StringIO) -> Iterator[None]:
    """Write every record of every library, as a line of ours and as plain text with traceback."""
    root = logging.getLogger()
    handlers = []
    for formatter in (JsonFormatter(), logging.Formatter("%(name)s %(message)s %(args)s")):
        handler = logging.StreamHandler(into)
        handler.setFormatter(formatter)
        handlers.append(handler)
        root.addHandler(handler)
    # The simulator is the vendor, and pytest and the tests' own client are the caller.
    for handler in handlers:
        handler.addFilter(lambda record: not record.name.startswith("sandbox"))
    # The database's library keeps to warnings unless asked by name; DEBUG shows rows by design.
    statements = logging.getLogger("sqlalchemy")
    levels = {logger: logger.level for logger in (root, statements)}
    root.setLevel(logging.DEBUG)
    statements.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
