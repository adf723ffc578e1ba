"""`python -m sandbox` and `python -m sandbox.samples` as programs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from PIL import Image, ImageStat

from sandbox import samples
from sandbox.scenes import landscape


def ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def started(before: Callable[[], None] | None = None) -> tuple[subprocess.Popen[str], str]:
    program = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,  # noqa: PLW1509 - a parent that ignores SIGINT is the case under test
    )
    assert program.stdout
    return program, program.stdout.readline().split()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_it_is_and_ends_well(number: signal.Signals) -> None:
    program, url = started()
    with program:
        assert requests.get(url + "/healthz", timeout=5).json() == {"status": "ok", "sandbox": True}
        program.send_signal(number)
        _, log = program.communicate(timeout=5)
    assert program.returncode == 0
    assert "simulator" in log


def test_an_ignored_interrupt_stays_ignored() -> None:
    program, url = started(ignore_interrupts)
    with program:
        program.send_signal(signal.SIGINT)
        assert requests.get(url + "/healthz", timeout=5).ok
        program.terminate()
        program.communicate(timeout=5)
    assert program.returncode == 0


SAMPLES = Path(__file__).parent.parent / "docs" / "samples"


@pytest.mark.parametrize(
    ("name", "size", "share"),
    [("landscape", landscape.SIZE, (0.25, 0.50)), ("still-life", (1024, 1024), (0.02, 0.06))],
)
def test_the_shipped_samples_are_a_picture_and_a_mask(
    name: str, size: tuple[int, int], share: tuple[float, float]
) -> None:
    files = SAMPLES / f"{name}.png", SAMPLES / f"{name}-mask.png"
    with Image.open(files[0]) as picture, Image.open(files[1]) as mask:
        assert (picture.mode, mask.mode) == ("RGB", "RGBA")
        assert picture.size == mask.size == size
        alpha = mask.getchannel("A")
        assert alpha.histogram()[0] + alpha.histogram()[255] == size[0] * size[1]
        assert share[0] < ImageStat.Stat(alpha).mean[0] / 255 < share[1]
    assert files[0].stat().st_size < 1_500_000


def test_masks_are_written_in_the_gateways_convention(tmp_path: Path) -> None:
    region = Image.new("L", (8, 6))
    region.paste(255, (0, 0, 4, 6))
    scenes = {"half": lambda: (Image.new("RGB", (8, 6), "red"), region)}
    assert samples.write(tmp_path / "new", scenes) == [
        tmp_path / "new" / "half.png",
        tmp_path / "new" / "half-mask.png",
    ]
    with Image.open(tmp_path / "new" / "half-mask.png") as mask:
        assert (mask.getpixel((0, 0)), mask.getpixel((7, 5))) == ((255,) * 4, (0,) * 4)


def test_the_script_asks_for_a_directory() -> None:
    command = [sys.executable, "-m", "sandbox.samples"]
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    assert finished.returncode == 1
    assert "DIRECTORY" in finished.stderr
