"""`imageedit doctor`: what it finds in good and in bad circumstances; and it shows no secret."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.__main__ import main
from cli.checkup.dates import check_dates
from cli.checkup.finding import Level
from cli.checkup.versions import check_versions
from cli.stack import free_address
from sandbox.server import SandboxServer
from server import catalog_file
from server.accounts.store import open_store
from server.providers.registry import PROVIDERS
from tests.certificates import SERVER, SERVER_KEY
from tests.redis_server import Redis
from tests.running import Gateway

pytest_plugins = ("tests.redis_server",)

OURS = ("IMAGEEDIT_", "OPENAI_", "OPENROUTER_", "SILICONFLOW_")
SECRET = "abcdefghijklmnopqrstuvwxyz"


def doctor(folder: Path, *arguments: str, **settings: str) -> Result:
    """Run it in `folder` with nothing set but `settings`, on ports that are free."""
    environment: dict[str, str | None] = {n: None for n in os.environ if n.startswith(OURS)}
    for name in ("IMAGEEDIT_HTTP_ADDRESS", "IMAGEEDIT_GRPC_ADDRESS"):
        environment[name] = free_address()
    with chdir(folder):
        result = CliRunner().invoke(main, ["doctor", *arguments], env=environment | settings)
    assert result.exit_code in {0, 1}, result.output
    assert result.exit_code == any(line.startswith("fail") for line in result.output.splitlines())
    assert SECRET not in result.output
    return result


def said(result: Result, subject: str) -> str:
    """Return the line about a subject and the one below it, each word one space from the next."""
    lines = result.output.splitlines() + [""]
    (at,) = (n for n, line in enumerate(lines) if line[6:].startswith(subject))
    below = lines[at + 1] if "->" in lines[at + 1] else ""
    return " ".join(f"{lines[at]} {below}".split())


def test_a_fresh_machine_is_fine_and_stays_as_it_is(tmp_path: Path) -> None:
    result = doctor(tmp_path)
    assert result.exit_code == 0
    assert said(result, "providers").startswith("warn providers no provider has a key")
    assert said(result, "database").startswith("ok database var/imageedit.db is not there yet")
    assert said(result, "redis").startswith("ok")
    assert said(result, "HTTP port").endswith("is free")
    assert said(result, "gRPC port").endswith("is free")
    assert said(result, "versions").startswith("ok versions imageedit 0.")
    assert list(tmp_path.iterdir()) == []


def test_a_gateway_that_runs_is_known_by_its_ports(gateway: Gateway, tmp_path: Path) -> None:
    ours = ("IMAGEEDIT_DATABASE_URL",)
    result = doctor(
        tmp_path,
        **{name: gateway.environment[name] for name in ours},
        IMAGEEDIT_HTTP_ADDRESS=gateway.url.removeprefix("http://"),
        IMAGEEDIT_GRPC_ADDRESS=gateway.service.address,
    )
    assert result.exit_code == 0, result.output
    for subject in ("HTTP port", "gRPC port"):
        assert said(result, subject).endswith("is taken, by this gateway as it seems")
    assert said(result, "database") == "ok database SQLite, of this version, writable"
    assert said(result, "callers' keys").startswith("ok callers' keys")


def test_ports_that_somebody_else_has_are_named(sandbox: SandboxServer, tmp_path: Path) -> None:
    taken = sandbox.url.removeprefix("http://")
    names = ("IMAGEEDIT_HTTP_ADDRESS", "IMAGEEDIT_GRPC_ADDRESS", "IMAGEEDIT_METRICS_ADDRESS")
    result = doctor(tmp_path, **dict.fromkeys(names, taken))
    for subject, name in zip(("HTTP port", "gRPC port", "metrics port"), names, strict=True):
        line = said(result, subject)
        assert line.startswith(f"fail {subject} {taken} can't be had")
        assert name in line


# the variable, its value, what is said
SHAPES = [
    ("OPENAI_API_KEY", f"sk-proj-{SECRET}", "ok openai key set"),
    ("OPENAI_API_KEY", f"sk-or-v1-{SECRET}", "warn openai key does not begin"),
    ("OPENAI_API_KEY", "sk-proj-abc", "warn openai key is too short"),
    ("OPENAI_API_KEY", SECRET, "warn openai key does not begin"),
    ("OPENROUTER_API_KEY", f"sk-or-v1-{SECRET}", "ok openrouter key set"),
    ("OPENROUTER_API_KEY", f"sk-proj-{SECRET}", "warn openrouter key does not begin"),
    ("SILICONFLOW_API_KEY", f"sk-{SECRET}", "ok siliconflow key set"),
    ("SILICONFLOW_API_KEY", f"sk-or-v1-{SECRET}", "warn siliconflow key does not begin"),
]


@pytest.mark.parametrize(("name", "value", "line"), SHAPES)
def test_a_key_that_is_another_vendors_is_seen(
    tmp_path: Path, name: str, value: str, line: str
) -> None:
    result = doctor(tmp_path, **{name: value})
    assert result.exit_code == 0
    assert said(result, line.split()[1] + " key").startswith(line)


def test_a_key_for_an_address_of_ones_own_may_look_like_anything(tmp_path: Path) -> None:
    own = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": f"https://me:{SECRET}@proxy.example/v1"}
    assert "ok openai key set; for proxy.example" in said(doctor(tmp_path, **own), "openai key")


@contextmanager
def vendor(statuses: Mapping[str, int]) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Yield the URL of one who answers paths by statuses, and what was asked with which key."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["authorization"]))
            self.send_response(statuses[self.path])
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_online_asks_each_vendor_once_and_for_nothing(tmp_path: Path) -> None:
    paths = {"/openai/models": 200, "/openrouter/key": 401, "/siliconflow/models": 500}
    with vendor(paths) as (url, asked):
        names = ("openai", "openrouter", "siliconflow")
        keys = {f"{name.upper()}_API_KEY": f"{SECRET}{name}" for name in names}
        bases = {f"{name.upper()}_BASE_URL": f"{url}/{name}" for name in names}
        assert doctor(tmp_path, **keys, **bases).exit_code == 0
        assert asked == []
        result = doctor(tmp_path, "--online", **keys, **bases)
    assert asked == [(path, f"Bearer {SECRET}{path.split('/')[1]}") for path in paths]
    assert said(result, "openai online") == "ok openai online 127.0.0.1 takes the key"
    refused = said(result, "openrouter online")
    assert refused.startswith("fail openrouter online 127.0.0.1 refuses the key (401)")
    assert refused.endswith("Put a live one in OPENROUTER_API_KEY.")
    assert said(result, "siliconflow online").startswith(
        "warn siliconflow online 127.0.0.1 answers"
    )
    gone = doctor(tmp_path, "--online", **keys, **bases)
    assert said(gone, "openai online").startswith("fail openai online 127.0.0.1 can't be reached")


@pytest.mark.parametrize(
    ("today", "level", "words"),
    [
        (date(2026, 7, 1), None, ""),
        (date(2026, 10, 1), Level.WARN, "shuts it down on 2026-10-23, in 22 days"),
        (date(2026, 10, 22), Level.WARN, "in 1 days"),
        (date(2026, 10, 23), Level.WARN, "its vendor shut it down on 2026-10-23"),
    ],
)
def test_a_model_that_ends_soon_is_named(today: date, level: Level | None, words: str) -> None:
    catalog = catalog_file.load(None, PROVIDERS, ["openai"])
    found = {finding.subject: finding for finding in check_dates(catalog, today)}
    finding = found.get("openai/gpt-image-1")
    assert (finding.level if finding else None) == level
    assert words in (finding.text if finding else "")
    assert found["catalogue"].level is Level.OK


def test_a_catalogue_or_a_setting_of_no_use_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("nothing")
    catalogue = doctor(tmp_path, IMAGEEDIT_CATALOG="bad.toml")
    assert said(catalogue, "catalogue").startswith("fail catalogue bad.toml")
    setting = doctor(tmp_path, IMAGEEDIT_MAX_EDITS="none")
    assert said(setting, "settings").startswith("fail settings IMAGEEDIT_MAX_EDITS")


def test_a_database_of_no_use_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("hello, this is no database at all" * 100)
    with sqlite3.connect(tmp_path / "empty.db") as old:
        old.execute("CREATE TABLE other (x)")
    old.close()
    open_store(f"sqlite:///{tmp_path / 'new.db'}").close()

    def database(url: str) -> str:
        return said(doctor(tmp_path, IMAGEEDIT_DATABASE_URL=url), "database")

    assert database("sqlite:///text.db").startswith("fail database can't be used: file is not")
    assert database("sqlite:///text.db/under.db").startswith("fail database text.db/under.db")
    assert database("sqlite:///empty.db").startswith("warn database is of another version")
    shared = f"postgresql://me:{SECRET}@127.0.0.1:1/gateway"
    assert database(shared).startswith("fail database can't be used: ")
    fresh = doctor(tmp_path, IMAGEEDIT_DATABASE_URL="sqlite:///new.db")
    assert "imageedit keys create" in said(fresh, "callers' keys")


def test_redis_is_asked(redis_server: Redis, tmp_path: Path) -> None:
    assert said(doctor(tmp_path, IMAGEEDIT_REDIS_URL=redis_server.url), "redis") == (
        "ok redis answers"
    )
    nobody = doctor(tmp_path, IMAGEEDIT_REDIS_URL=f"redis://:{SECRET}@127.0.0.1:1/0")
    assert said(nobody, "redis").startswith("fail redis does not answer (ConnectionError)")


def test_files_that_others_may_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir(mode=0o755)
    open_store(f"sqlite:///{tmp_path / 'var' / 'imageedit.db'}").close()
    (tmp_path / "var" / "imageedit.db").chmod(0o640)
    for name, pem in {"cert.pem": SERVER, "key.pem": SERVER_KEY}.items():
        (tmp_path / name).write_bytes(pem)
        (tmp_path / name).chmod(0o644)
    tls = {"IMAGEEDIT_TLS_CERT": "cert.pem", "IMAGEEDIT_TLS_KEY": "key.pem"}
    result = doctor(tmp_path, **tls)
    text = " ".join(result.output.split())
    assert "warn files var is open to others -> chmod 700 var" in text
    assert "warn files var/imageedit.db is open to others -> chmod 600 var/imageedit.db" in text
    assert "fail files key.pem is open to others -> chmod 600 key.pem" in text
    for path, mode in {"var": 0o700, "var/imageedit.db": 0o600, "key.pem": 0o600}.items():
        (tmp_path / path).chmod(mode)
    assert said(doctor(tmp_path, **tls), "files").startswith("ok files")


def test_libraries_that_are_old_or_missing_are_named() -> None:
    def installed(name: str) -> str:
        if name == "redis":
            raise PackageNotFoundError(name)
        return "9.3.1" if name == "pillow" else version(name)

    levels = {finding.text: finding.level for finding in check_versions(installed)}
    assert set(levels.values()) == {Level.FAIL}
    assert any(text.startswith("pillow is 9.3.1, 12.") for text in levels)
    assert any(text.startswith("redis is missing") for text in levels)
    assert len(levels) == 2
    assert [finding.level for finding in check_versions()] == [Level.OK]
