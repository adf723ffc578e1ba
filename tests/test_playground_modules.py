"""The playground's modules without a browser, and the code that it offers, run for real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from sandbox.server import SandboxServer
from server.imaging.coverage import CoveragePlane
from server.imaging.seam import put_back
from tests.node_scripts import NotThere, node_modules
from tests.pictures import decoded, encoded, gradient
from tests.playground_modules import answer, node_folder
from tests.programs import ROOTS
from tests.running import Gateway

# Names and words that a shell, curl, Python or JavaScript would read as something else.
IMAGES = ['it\'s; $(a) "b".png', "second, part.png"]
MASK = "it's-mask.png"
ORDER: dict[str, Any] = {
    "model": "openai/gpt-image-1.5",
    "prompt": '@it\'s "quoted" $HOME `x` \\n;type=text/plain\nünïcode \u2028',
    "fields": {
        "size": "auto",
        "quality": "low",
        "background": "opaque",
        "output_format": "webp",
        "output_compression": "90",
        "input_fidelity": "high",
        "mask_fidelity": "exact",
        "seed": "7",
    },
    "images": IMAGES,
    "mask": MASK,
}
RUNS = {
    "curl": ["bash", "-eo", "pipefail", "-c"],
    "python": [sys.executable, "-c"],
    "node": ["node", "--input-type=module", "--eval"],
    "grpc": [sys.executable, "-c"],
}
SIZE = (256, 192)
UPSTREAM = {"prompt", "quality", "background", "input_fidelity", "size"}
"""What this model's upstream is told of an order."""


def test_the_modules(tmp_path: Path) -> None:
    try:
        script = node_folder(tmp_path, "playground.test.mjs")
    except NotThere as missing:
        pytest.skip(str(missing))
    done = subprocess.run(
        ["node", "--test", script], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout


def test_the_feathered_preview_shows_the_gateways_own_seam(tmp_path: Path) -> None:
    plane = Image.new("L", (420, 90))
    draw = ImageDraw.Draw(plane)
    draw.ellipse((20, 10, 120, 80), 255)
    draw.rectangle((150, 30, 155, 60), 255)
    draw.rectangle((300, 0, 419, 89), 255)
    question = {"width": plane.width, "height": plane.height, "levels": list(plane.tobytes())}
    try:
        shown = bytes(answer(tmp_path, "seam.mjs", question))
    except NotThere as missing:
        pytest.skip(str(missing))
    # White put back over black leaves how much of each pixel is the input's.
    onto = Image.new("RGB", plane.size, "black")
    put_back(
        Image.new("RGB", plane.size, "white"), onto, CoveragePlane.from_levels(plane).protected()
    )
    edit = bytes(255 - kept for kept in onto.getchannel("R").tobytes())
    assert max(abs(one - other) for one, other in zip(shown, edit, strict=True)) <= 2
    assert len(set(shown)) > 5


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory, gateway: Gateway) -> dict[str, str]:
    try:
        order = {**ORDER, "base": f"{gateway.url}/v1"}
        return answer(tmp_path_factory.mktemp("code"), "snippets.mjs", order)
    except NotThere as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("language", RUNS)
def test_the_code_does_what_the_page_does(
    sandbox: SandboxServer, gateway: Gateway, code: dict[str, str], tmp_path: Path, language: str
) -> None:
    for phase, name in enumerate(IMAGES):
        (tmp_path / name).write_bytes(encoded(gradient(*SIZE, phase=phase), "PNG"))
    mask = gradient(*SIZE, "L").point(lambda level: 255 * (level > 99))
    (tmp_path / MASK).write_bytes(encoded(mask, "PNG"))
    if shutil.which(RUNS[language][0]) is None or (language == "curl" and not shutil.which("jq")):
        pytest.skip(f"what runs {language} is not installed")
    if language == "node":
        try:
            (tmp_path / "node_modules").symlink_to(node_modules())
        except NotThere as missing:
            pytest.skip(str(missing))
    assert gateway.key not in code[language]
    seen = len(sandbox.calls)
    done = subprocess.run(
        [*RUNS[language], code[language]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "IMAGEEDIT_KEY": gateway.key,
            "IMAGEEDIT_GRPC_ADDRESS": gateway.service.address,
            "PYTHONPATH": os.pathsep.join(map(str, ROOTS)),
        },
    )
    assert done.returncode == 0, done.stderr
    (call,) = (one for one in sandbox.calls[seen:] if one.fields["prompt"] == ORDER["prompt"])
    assert {name: str(call.fields[name]) for name in UPSTREAM} == {
        **{name: text for name, text in ORDER["fields"].items() if name in UPSTREAM},
        "prompt": ORDER["prompt"],
        "size": "1536x1024",  # what "auto" is for this picture's shape
    }
    assert [(one.width, one.height) for one in call.pictures] == [SIZE] * 3  # the mask is last
    result = (tmp_path / "edited.webp").read_bytes()
    assert (result[8:12], decoded(result).size) == (b"WEBP", (384, 256))  # a quarter of that


def test_the_code_says_all_that_is_asked(code: dict[str, str]) -> None:
    for language, text in code.items():
        for name in ORDER["fields"]:
            assert name in text, (language, name)
        assert json.dumps(ORDER["model"]) in text or ORDER["model"] in text
