"""Streams through nginx, which cuts what is silent for its time-out: both SDKs, every model."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from sandbox.server import SandboxServer
from tests.customers import Customer, customer
from tests.nginx import PROGRAM, nginx_before
from tests.node_scripts import NotThere, node_script
from tests.pictures import decoded
from tests.running import Gateway
from tests.sdk_pictures import PHOTO, assert_inverted
from tests.test_streaming_road import MODELS

PATIENCE = 1.0  # seconds that nginx waits for the next bytes, 60 unless set
WORK = 2.5  # seconds that the upstream takes
ALIASES = [model.alias for model in MODELS]


@pytest.fixture(scope="module")
def gateway(sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose comments come four times within nginx's patience, as by default."""
    folder = tmp_path_factory.mktemp("nginx")
    with Gateway(sandbox.environment(), folder, progress_seconds=PATIENCE / 4) as running:
        yield running


@pytest.fixture(scope="module")
def url(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if PROGRAM is None:
        pytest.skip("nginx is not installed")
    with nginx_before(gateway.url, PATIENCE, tmp_path_factory.mktemp("proxy")) as address:
        yield address


def client_of(who: Customer, url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=who.key, max_retries=0)


def test_python_streams_every_model_for_longer_than_nginx_waits(
    gateway: Gateway, sandbox: SandboxServer, url: str
) -> None:
    def streamed(alias: str) -> tuple[str, bytes]:
        who = customer(gateway)
        with client_of(who, url) as client:
            *_, done = client.images.edit(
                model=alias,
                image=PHOTO,
                prompt=who.prompt(f"[sandbox echo delay={WORK}]"),
                stream=True,
            )
        tally = who.tally(sandbox)
        assert (tally.submissions, tally.charges) == (1, 1)
        return done.type, base64.b64decode(done.b64_json)

    with ThreadPoolExecutor(len(ALIASES)) as pool:
        for kind, picture in pool.map(streamed, ALIASES):
            assert kind == "image_edit.completed"
            assert decoded(picture, "RGB") == decoded(PHOTO, "RGB")


def test_node_streams_every_model_for_longer_than_nginx_waits(
    gateway: Gateway, url: str, tmp_path: Path
) -> None:
    try:
        script = node_script("edit.mjs", tmp_path)
    except NotThere as missing:
        pytest.skip(str(missing))
    (tmp_path / "photo.png").write_bytes(PHOTO)
    image = {"form": "stream", "path": "photo.png"}
    fields = {"prompt": f"[sandbox echo delay={WORK}]", "image": image}
    calls = {alias: {"method": "stream", "params": {"model": alias, **fields}} for alias in ALIASES}
    asked = {"baseURL": f"{url}/v1", "apiKey": customer(gateway).key, "calls": calls}
    done = subprocess.run(
        ["node", script],
        input=json.dumps(asked),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for alias, outcome in json.loads(done.stdout).items():
        assert outcome["events"], (alias, outcome)
        assert outcome["events"][-1]["type"] == "image_edit.completed"
        picture = base64.b64decode(outcome["events"][-1]["b64_json"])
        assert decoded(picture, "RGB") == decoded(PHOTO, "RGB")


def test_a_plain_edit_is_cut_there_and_its_repeat_has_the_picture(
    gateway: Gateway, sandbox: SandboxServer, url: str
) -> None:
    """What a caller without a stream gets, and why it is not paid twice."""
    who = customer(gateway)
    words = who.prompt(f"[sandbox delay={WORK}]")
    with client_of(who, url) as client, pytest.raises(openai.APIStatusError) as cut:
        client.images.edit(model=ALIASES[0], image=PHOTO, prompt=words)
    assert cut.value.status_code == 504
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=who.key, max_retries=0) as client:
        answer = client.images.edit(
            model=ALIASES[0],
            image=PHOTO,
            prompt=words,
            extra_headers={"x-stainless-retry-count": "1"},
        )
    assert_inverted(base64.b64decode((answer.data or [])[0].b64_json or ""))
    assert who.tally(sandbox).charges == 1
