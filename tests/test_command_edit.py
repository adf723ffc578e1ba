"""`imageedit edit` beyond one picture: several models, streams, JSON, errors that help, Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cli.__main__ import main
from cli.event_stream import documents
from cli.saved import beside, save
from sandbox.server import SandboxServer
from server.accounts.key_format import new_key
from tests.customers import customer
from tests.programs import ROOTS, program
from tests.running import Gateway, eventually
from tests.sdk_pictures import MODEL, PHOTO, assert_inverted, submissions

OTHER = "qwen/qwen-image-edit"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photo.png").write_bytes(PHOTO)
    return tmp_path


def edit(url: str, key: str, folder: Path, *arguments: str, prompt: str = "invert") -> Result:
    """Run it in this process, with the photo and the output "out.png"."""
    given = ("edit", str(folder / "photo.png"), prompt, "-o", str(folder / "out.png"))
    return CliRunner().invoke(main, [*given, "--url", url, "--key", key, *arguments])


def made(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"photo.png"}


def test_several_models_get_a_file_and_a_line_each(gateway: Gateway, folder: Path) -> None:
    models = ("--model", MODEL, "--model", OTHER, "--model", MODEL)
    result = edit(gateway.url, gateway.key, folder, *models, "--json")
    assert result.exit_code == 0, result.output
    names = ["out.openai-gpt-image-1.5.png", "out.qwen-qwen-image-edit.png"]
    assert made(folder) == set(names)
    for name in names:
        assert_inverted((folder / name).read_bytes())
        assert re.search(rf"^saved \S*{name}: \d+x\d+ png, .* bytes, \$0\.\d+, \d+\.\d s", result.stderr, re.MULTILINE)  # fmt: skip  # noqa: E501
    first, second = json.loads(result.stdout)["results"]
    assert (first["model"], second["model"]) == (MODEL, OTHER)
    assert Path(first["output"]) == folder / names[0]
    assert second["cost"] == second["usage"]["cost"] == 0.04
    assert first["bytes"] == (folder / names[0]).stat().st_size
    assert first["request_id"] != second["request_id"]
    assert (first["ignored_parameters"], first["mask_method"], first["replayed"]) == ([], None, False)  # fmt: skip  # noqa: E501


def test_they_run_at_once(gateway: Gateway, sandbox: SandboxServer, folder: Path) -> None:
    prompt = "invert at once [sandbox delay=1.5]"
    models = ("--model", MODEL, "--model", OTHER)
    result = edit(gateway.url, gateway.key, folder, *models, "--json", prompt=prompt)
    seconds = [each["seconds"] for each in json.loads(result.stdout)["results"]]
    first, second = (call for call in sandbox.calls if call.fields.get("prompt") == prompt)
    assert abs(first.when - second.when) < 1.5 <= min(seconds)


def test_one_that_fails_leaves_the_other_and_gives_the_exit_code(
    gateway: Gateway, folder: Path
) -> None:
    models = ("--model", "acme/none", "--model", OTHER)
    result = edit(gateway.url, gateway.key, folder, *models, "--json")
    assert result.exit_code == 3
    assert made(folder) == {"out.qwen-qwen-image-edit.png"}
    refused, done = json.loads(result.stdout)["results"]
    assert refused["error"]["code"] == "model_capability_mismatch"
    assert done["cost"] == 0.04
    assert "Error: acme/none: " in result.stderr


def test_a_stream_saves_partial_pictures_beside_the_output(gateway: Gateway, folder: Path) -> None:
    result = edit(gateway.url, gateway.key, folder, "--model", MODEL, "--stream", "--json")
    assert result.exit_code == 0, result.output
    assert made(folder) == {"out.png", "out.partial-0.png", "out.partial-1.png"}
    assert_inverted((folder / "out.png").read_bytes())
    with Image.open(folder / "out.partial-1.png") as partial:
        partial.load()
    (facts,) = json.loads(result.stdout)["results"]
    assert facts["partials"] == [str(folder / f"out.partial-{index}.png") for index in (0, 1)]
    assert (facts["cost"] > 0, facts["request_id"] is not None) == (True, True)


def test_a_stream_that_fails_ends_as_an_answer_would(gateway: Gateway, folder: Path) -> None:
    words = "invert [sandbox error503]"
    result = edit(gateway.url, gateway.key, folder, "--model", OTHER, "--stream", prompt=words)
    assert (result.exit_code, made(folder)) == (6, set())
    assert re.search(r"may be tried again in \d+ s", result.stderr)


@pytest.mark.parametrize(
    ("who", "options", "exit_code", "says"),
    [
        ("wrong", (), 4, "imageedit keys create"),
        ("poor", (), 5, "imageedit credits add KEY_ID"),
        ("live", ("--model", "acme/none"), 3, "`imageedit models` lists"),
        ("live", ("--size", "huge"), 3, 'field "size"'),
    ],
)
def test_an_error_says_what_to_do(
    gateway: Gateway, folder: Path, who: str, options: tuple[str, ...], exit_code: int, says: str
) -> None:
    keys = {"wrong": new_key, "live": lambda: gateway.key}
    key = keys.get(who, lambda: customer(gateway, credit=0).key)()
    result = edit(gateway.url, key, folder, *options)
    assert (result.exit_code, made(folder)) == (exit_code, set())
    assert says in result.stderr
    assert (result.stdout, key in result.stderr) == ("", False)


def test_nobody_there_is_said_in_json_too(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = edit(url, "ie_any", folder, "--json")
    assert result.exit_code == 8
    assert f"The gateway at {url} can't be reached" in result.stderr
    assert "Is it running? Start one with `imageedit serve`" in result.stderr
    (facts,) = json.loads(result.stdout)["results"]
    assert facts["error"]["type"] == "unreachable"


@pytest.mark.parametrize("stream", [(), ("--stream",)])
def test_ctrl_c_ends_it_at_once_and_leaves_no_file(
    gateway: Gateway, sandbox: SandboxServer, folder: Path, stream: tuple[str, ...]
) -> None:
    prompt = f"invert until Ctrl-C {stream} [sandbox delay=30]"
    command = ("-m", "cli", "edit", "photo.png", prompt, "-o", "out.png", *stream)
    environment = {"IMAGEEDIT_URL": gateway.url, "IMAGEEDIT_KEY": gateway.key}
    with program(*command, environment=environment, folder=folder) as running:
        assert eventually(lambda: bool(submissions(sandbox, prompt)), seconds=20)
        assert running.end(signal.SIGINT, seconds=5) == 130
        running.wait_for("interrupted")
        assert "Traceback" not in "".join(running.lines)
    assert made(folder) == set()


def test_the_result_is_opened_by_the_desktops_own_program(gateway: Gateway, folder: Path) -> None:
    for name in ("xdg-open", "open"):
        (folder / name).write_text(f'#!/bin/sh\nprintf %s "$1" > {folder}/said && mv {folder}/said {folder}/opened\n')  # fmt: skip  # noqa: E501
        (folder / name).chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    environment = {"IMAGEEDIT_URL": gateway.url, "IMAGEEDIT_KEY": gateway.key, "PATH": path}
    command = ("-m", "cli", "edit", "photo.png", "invert", "-o", "out.png", "--open", "-q")
    with program(*command, environment=environment, folder=folder) as running:
        assert running.process.wait(30) == 0
    assert eventually((folder / "opened").exists, seconds=10)
    assert (folder / "opened").read_text() == "out.png"


def test_a_terminal_sees_a_bar_and_then_the_seconds(gateway: Gateway, folder: Path) -> None:
    (folder / "photo.png").write_bytes(PHOTO + bytes(200_000))
    ours, theirs = pty.openpty()
    command = ("-m", "cli", "edit", "photo.png", "invert [sandbox delay=0.6]", "-o", "out.png")
    environment = {"IMAGEEDIT_URL": gateway.url, "IMAGEEDIT_KEY": gateway.key}
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, ROOTS)), "PATH": os.environ["PATH"]}
    with subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=environment, stdout=theirs, stderr=theirs
    ) as running:
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 65536):
                seen += piece
        except OSError:  # how Linux ends a terminal
            pass
        os.close(ours)
    assert running.returncode == 0, seen
    text = seen.decode()
    assert re.search(r"uploading \[#{1,19}-{1,19}\] +\d+ %", text)
    assert re.search(r"waiting for the model, \d+ s", text)
    assert text.rstrip().rpartition("\r")[2].startswith("saved out.png: 256x256")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_read_however_they_are_cut(size: int) -> None:
    body = b': at work\n\nevent: a\ndata: {"type": "a"}\n\nevent: b\ndata: {"type": "b"}\n\n'
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    assert list(documents(pieces)) == [{"type": "a"}, {"type": "b"}]


def test_names_of_files(tmp_path: Path) -> None:
    assert beside(Path("a/night.tar.png"), "x/y z").name == "night.tar.x-y-z.png"
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(click.FileError):
        save(tmp_path / "taken.png", b"picture")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_clicks_own(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert f"_IMAGEEDIT_COMPLETE={shell}_complete" in result.stdout


def completed(*words: str, url: str = "http://127.0.0.1:1") -> list[str]:
    """Return what bash is told of the last word."""
    environment = {
        "_IMAGEEDIT_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("imageedit", *words)),
        "COMP_CWORD": str(len(words)),
        "IMAGEEDIT_URL": url,
    }
    result = CliRunner().invoke(main, prog_name="imageedit", env=environment)
    return [line.partition(",")[2] for line in result.stdout.split()]


def test_completion_completes(gateway: Gateway) -> None:
    assert completed("ed") == ["edit"]
    assert completed("edit", "--mask-f") == ["--mask-fidelity"]
    assert completed("edit", "--model", "qwen/", url=gateway.url) == [
        "qwen/qwen-image-edit",
        "qwen/qwen-image-edit-2509",
    ]
    assert completed("edit", "--model", "qwen/") == []  # no gateway is there


def test_the_list_of_commands_is_whole_and_a_slip_is_helped() -> None:
    listed = CliRunner().invoke(main, ["--help"]).stdout
    assert "..." not in listed.partition("Commands:")[2]
    slip = CliRunner().invoke(main, ["editt"])
    assert (slip.exit_code, "Did you mean edit?" in slip.output) == (2, True)
