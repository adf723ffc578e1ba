"""No key, prompt, picture or end user is where it should not be, whatever goes wrong.

One gateway is used in every way that can fail, its logs wide open; then everything that it wrote
and said is searched.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from prometheus_client import generate_latest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from sandbox.server import SandboxServer
from server.accounts import key_format
from server.accounts.schema import blocked_users, metadata
from server.accounts.store import connect, open_store
from server.settings import read_settings
from tests import whole
from tests.canaries import canary, found, shapes
from tests.edits import Edit
from tests.fault_upstream import FaultUpstream
from tests.misuse import (
    MODELS,
    PICTURE,
    PICTURE_METADATA,
    ask_badly,
    look_inside,
    play_faults,
    use_keys,
)
from tests.running import Gateway
from tests.used_gateway import PROVIDER_KEYS, Door, Used, echo, upstream_settings, wide_open_log


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    """A gateway that was used in every way, while its database is still open."""
    used = Used(tmp_path_factory.mktemp("secrets"))
    used.upstream_keys = {name: canary("sk-upstream") for name in MODELS}
    log = io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(wide_open_log(log))
        sandbox = stack.enter_context(SandboxServer())
        settings = upstream_settings(used, sandbox.environment())
        gateway = stack.enter_context(Gateway(sandbox.environment() | settings, used.folder))
        door = Door(gateway, used)
        secrets_ = use_keys(gateway, door, used)
        play_faults(door, used, secrets_)
        ask_badly(gateway, door, used, secrets_[0])
        for path in ("/metrics", "/healthz", "/readyz", "/openapi.json", "/v1/models", "/nowhere"):
            used.texts[path] = door.get(path, secrets_[1]).content
        for path in ("/v1/usage", "/v1/usage/edits", "/v1/usage/edits?format=csv"):
            for number, secret in enumerate(secrets_):
                told = requests.get(
                    gateway.url + path, headers={"authorization": f"Bearer {secret}"}, timeout=10
                )
                used.usage[f"{path} of key {number}"] = told.content
        used.texts["the service's metrics"] = generate_latest(gateway.service.metrics.registry)
        look_inside(gateway, used)

        echoing = stack.enter_context(FaultUpstream(echo))
        urls = {f"{name}_BASE_URL": f"{echoing.origin}/v1" for name in PROVIDER_KEYS.values()}
        settings = upstream_settings(used, urls)
        echoed = stack.enter_context(Gateway(settings, used.folder))
        for model in MODELS.values():
            for status in (200, 400, 401, 404, 429, 500):
                fields = used.fields(model, f"[echo {status}]")
                Door(echoed, used).http(Edit(fields, (PICTURE,)), secrets_[2])
                fields = used.fields(model, f"[echo {status}]")
                Door(echoed, used).grpc(Edit(fields, (PICTURE,)), secrets_[2])
        used.texts["the second service's metrics"] = generate_latest(
            echoed.service.metrics.registry
        )
        used.texts["/metrics of the second gateway"] = requests.get(
            f"{echoed.url}/metrics", timeout=10
        ).content
        used.logs = {
            "the log": log.getvalue().encode(),
            "the front's log": gateway.log.getvalue().encode(),
            "the second front's log": echoed.log.getvalue().encode(),
        }
        yield used


def everywhere(used: Used) -> dict[str, bytes]:
    """Return all that the gateway wrote and said."""
    return used.files() | used.answers | used.logs | used.texts | used.usage


def test_all_was_done(used: Used) -> None:
    """A search proves nothing where nothing was written."""
    assert {"200", "400", "401", "402", "403", "422", "502", "503", "504"} <= used.codes
    assert {"UNAVAILABLE", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED"} <= used.codes
    assert len(used.pictures) >= whole.of(5, 2)
    assert {"imageedit.db", "imageedit.db-wal"} <= set(used.files())
    log = used.logs["the log"]
    assert log.count(b'"event": "call"') > whole.of(200, 100)
    for name in ("the front's log", "the second front's log"):
        assert b'"event":"request"' in used.logs[name]
    assert b"imageedit_http_requests" in used.texts["/metrics"]
    assert b"imageedit_edits_total{" in used.texts["the second service's metrics"]
    assert found({"digest": key_format.digest(used.keys["key 0"])}, used.files().items())


def test_the_search_finds_every_shape() -> None:
    secret = key_format.new_key()
    for before in (b"", b"a", b"ab"):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            hidden = encode(before + b" " + secret.encode() + b" and more")
            assert found({"key": secret}, [("a place", hidden)])
    assert len(dict(shapes(secret))) == len(list(shapes(secret)))
    assert not found({"key": secret}, [("a place", key_format.new_key().encode())])


def test_no_key_is_anywhere(used: Used) -> None:
    assert found(used.keys, everywhere(used).items()) == set()


def test_no_upstream_key_is_anywhere(used: Used) -> None:
    assert found(used.upstream_keys, everywhere(used).items()) == set()


def test_no_prompt_is_anywhere(used: Used) -> None:
    assert found(used.prompts, everywhere(used).items()) == set()


def test_no_metadata_of_a_picture_is_anywhere(used: Used) -> None:
    assert found({"metadata": PICTURE_METADATA}, everywhere(used).items()) == set()


def test_end_users_are_in_the_usage_records_alone(used: Used) -> None:
    spoken = used.answers | used.logs | used.texts
    assert found(used.users, spoken.items()) == set()
    assert found(used.users, used.files().items())
    assert found(used.users, used.usage.items())  # as their own account is told of them


def test_pictures_are_in_the_stored_results_alone(used: Used) -> None:
    # From the middle of the compressed pixels, of which no two pictures have the same.
    pieces = {
        f"picture {number}": data[len(data) // 2 :][:24].decode("latin-1")
        for number, data in enumerate([PICTURE, *used.pictures])
    }
    said = used.logs | used.texts | used.usage
    assert pictures_in(pieces, said) == set()
    assert pictures_in(pieces, used.results())
    assert pictures_in(pieces, dict(rows_by_table(used))) == set()


def pictures_in(pieces: Mapping[str, str], places: Mapping[str, bytes]) -> set[str]:
    """Return which places hold a piece of a picture: as it is, in base64, hex, or as repr."""
    hits = set()
    for name, piece in pieces.items():
        raw = piece.encode("latin-1")
        forms = {raw, raw.hex().encode(), repr(raw)[2:-1].encode()}
        forms |= {
            base64.b64encode(b"\0" * shift + raw)[(shift * 8 + 5) // 6 : (shift + 24) * 8 // 6]
            for shift in range(3)
        }
        hits |= {
            f"{name} in {place}" for place, data in places.items() if any(f in data for f in forms)
        }
    return hits


def rows_by_table(used: Used) -> Iterator[tuple[str, bytes]]:
    """Yield each table's name and all that it holds."""
    store = connect(f"sqlite:///{used.folder / 'imageedit.db'}")
    with store.read() as connection:
        for table in metadata.sorted_tables:
            rows = connection.execute(select(table)).all()
            values = [value for row in rows for value in row]
            yield (
                table.name,
                b"\n".join(v if isinstance(v, bytes) else str(v).encode() for v in values),
            )
    store.close()


def test_errors_of_the_database_do_not_quote_what_was_to_be_written(tmp_path: Path) -> None:
    """The traceback of a bug goes to the log, with the error's text."""
    user = canary("user")
    store = open_store(f"sqlite:///{tmp_path / 'imageedit.db'}")
    row = {"account_id": "no such account", "user": user, "created": 0}
    with pytest.raises(IntegrityError) as caught, store.write() as connection:
        connection.execute(insert(blocked_users), row)
    store.close()
    assert found({"user": user}, [("the error", f"{caught.value}".encode())]) == set()


def test_settings_do_not_show_the_passwords_in_their_urls() -> None:
    password = canary("password")
    settings = read_settings(
        {
            "IMAGEEDIT_DATABASE_URL": f"postgresql://imageedit:{password}@db.internal/imageedit",
            "IMAGEEDIT_REDIS_URL": f"redis://:{password}@redis.internal:6379/0",
        }
    )
    assert password not in repr(settings)
