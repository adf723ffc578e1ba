"""The command `imageedit` as people and scripts use it, in a folder of their own."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
from pathlib import Path
from shutil import which

import pytest
import requests
from PIL import Image

from cli.stack import free_address
from server.accounts.key_format import is_well_formed, new_key
from tests.pictures import encoded, gradient
from tests.programs import program
from tests.running import Gateway


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photo.png").write_bytes(encoded(gradient(64, 48), "PNG"))
    (tmp_path / "mask.png").write_bytes(encoded(Image.new("L", (64, 48), 255), "PNG"))
    (tmp_path / "note.txt").write_text("hello")
    return tmp_path


def command(
    *arguments: str, folder: Path, environment: dict[str, str] | None = None
) -> tuple[int, str]:
    """Run it to its end; return the exit code and all it printed."""
    with program("-m", "cli", *arguments, environment=environment or {}, folder=folder) as running:
        code = running.process.wait(60)
        running.wait_for("")
        return code, "".join(running.lines)


def addresses(folder: Path) -> dict[str, str]:
    return {
        "IMAGEEDIT_HTTP_ADDRESS": free_address(),
        "IMAGEEDIT_GRPC_ADDRESS": free_address(),
        "IMAGEEDIT_METRICS_ADDRESS": free_address(),
        "IMAGEEDIT_DATABASE_URL": f"sqlite:///{folder / 'keys.db'}",
    }


def test_help_teaches(folder: Path) -> None:
    code, text = command("--help", folder=folder)
    assert code == 0
    for name in ("serve", "edit", "keys", "models", "demo"):
        assert re.search(rf"^  {name} ", text, re.MULTILINE)
    assert "Exit codes" in text


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_edit_saves_the_picture(gateway: Gateway, folder: Path, ending: str) -> None:
    code, text = command(
        *("edit", "photo.png", "sepia", "--mask", "mask.png", "-o", f"out.{ending}"),
        *("--url", gateway.url, "--key", gateway.key, "--model", "qwen/qwen-image-edit"),
        folder=folder,
    )
    assert code == 0, text
    assert "$0.04" in text
    assert gateway.key not in text
    with Image.open(folder / f"out.{ending}") as picture:
        assert picture.size == (64, 48)
        assert picture.format == {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}[ending]


EDIT = ("edit", "photo.png", "sepia", "-o", "out.png")
# what is done, which key, exit code, what is said
ENDS = [
    (EDIT, "wrong", 4, "not valid"),
    (("edit", "note.txt", "sepia", "-o", "out.png"), "live", 3, "PNG, JPEG or WebP"),
    ((*EDIT, "--model", "acme/none"), "live", 3, "acme/none"),
    (("edit", "photo.png", "sepia [sandbox error429]", "-o", "out.png"), "live", 6, "moment"),
    (("edit", "photo.png", "sepia [sandbox garbage]", "-o", "out.png"), "live", 7, "nothing was"),
    (("edit", "nowhere.png", "sepia", "-o", "out.png"), "live", 2, "nowhere.png"),
    (("edit", "photo.png", "sepia", "-o", "out.bmp"), "live", 2, ".png, .jpg or .webp"),
    (("edit", "photo.png", "sepia"), "live", 2, "--output"),
    (EDIT, None, 2, "IMAGEEDIT_KEY"),
    ((*EDIT, "--url", "http://127.0.0.1:1"), "live", 8, "imageedit serve"),
]


@pytest.mark.parametrize(("arguments", "key", "exit_code", "says"), ENDS)
def test_it_ends_with_a_code_that_scripts_can_use(
    gateway: Gateway,
    folder: Path,
    arguments: tuple[str, ...],
    key: str | None,
    exit_code: int,
    says: str,
) -> None:
    environment = {"IMAGEEDIT_URL": gateway.url}
    if key is not None:
        environment["IMAGEEDIT_KEY"] = gateway.key if key == "live" else new_key()
    code, text = command(*arguments, folder=folder, environment=environment)
    assert code == exit_code, text
    assert says in text
    assert "Traceback" not in text
    assert not (folder / "out.png").exists()


def test_models_lists_what_can_be_routed(gateway: Gateway, folder: Path) -> None:
    code, text = command("models", "--url", gateway.url, folder=folder)
    assert code == 0
    assert re.search(r"openai/gpt-image-1 .*until 2026-10-23", text)
    assert re.search(r"qwen/qwen-image-edit .*\$0.04 an edit", text)


def test_keys_are_made_listed_and_revoked(folder: Path) -> None:
    environment = addresses(folder)
    with program(
        *("-m", "cli", "keys", "create", "--name", "me", "--credits", "10.00"),
        environment=environment,
        folder=folder,
    ) as running:
        secret = running.wait_for("ie_").strip()
        assert running.process.wait(30) == 0
    assert is_well_formed(secret)
    code, listed = command("keys", "list", folder=folder, environment=environment)
    assert (code, secret in listed, "live" in listed) == (0, False, True)
    key_id = listed.split()[0]
    assert command("keys", "revoke", key_id, folder=folder, environment=environment)[0] == 0
    assert "revoked" in command("keys", "list", folder=folder, environment=environment)[1]
    again = command("keys", "revoke", key_id, folder=folder, environment=environment)
    assert again[0] == 1
    assert "no live key" in again[1]


@pytest.mark.parametrize("amount", ["ten", "-1", "0.0000000001", "NaN", "1e400"])
def test_credits_must_be_dollars(folder: Path, amount: str) -> None:
    code, text = command(
        *("keys", "create", "--name", "me", "--credits", amount),
        folder=folder,
        environment=addresses(folder),
    )
    assert code == 2
    assert "--credits" in text


def test_serve_prints_a_curl_command_that_works_and_drains(folder: Path) -> None:
    environment = addresses(folder)
    with program(
        "-m", "cli", "serve", "--trial-key", environment=environment, folder=folder
    ) as running:
        line = running.wait_for("curl -s ").strip()
        said = "".join(running.lines)
        assert "SANDBOX" in said
        assert "openai, openrouter, siliconflow" in said
        (page,) = re.findall(r"^playground +(\S+)$", said, re.MULTILINE)
        assert "Drop, paste or choose" in requests.get(page, timeout=5).text
        words = shlex.split(line)
        if which("curl"):
            answer = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
            assert answer["model"] == "openai/gpt-image-2"
        (key,) = re.findall(r"ie_\w{36}", line)
        url = f"http://{environment['IMAGEEDIT_HTTP_ADDRESS']}"
        held = requests.Session()
        assert held.get(f"{url}/readyz", timeout=5).status_code == 200
        running.process.send_signal(signal.SIGTERM)  # Ctrl-C: tests/test_docs_start.py
        assert running.process.wait(30) == 0, "".join(running.lines)
    listed = command("keys", "list", folder=folder, environment=environment)[1]
    assert "revoked" in listed
    assert key not in listed


def test_serve_ends_when_a_program_cannot_start(folder: Path) -> None:
    environment = addresses(folder) | {"IMAGEEDIT_CATALOG": str(folder / "note.txt")}
    code, text = command("serve", folder=folder, environment=environment)
    assert code == 1
    assert "note.txt" in text
    assert "ended by itself" in text
