"""What fuzzing begins with and what it once found: each is tried again at every run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import FOUND, PACKAGES, found, target
from tests.pictures import encoded, gradient

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", PACKAGES)
def test_seeds_and_what_was_found_do_what_they_should(name: str) -> None:
    chosen = target(name)
    inputs = [b"", *chosen.SEEDS, *found(name)]
    for data in inputs:
        assert len(data) <= 2 * chosen.MAX_LENGTH
        chosen.check(data)
        chosen.check(data[: len(data) // 2])


def test_every_found_file_belongs_to_a_target() -> None:
    assert {path.name for path in FOUND.iterdir()} <= set(PACKAGES)
    assert all(found(path.name) for path in FOUND.iterdir())


def test_a_mutated_png_keeps_its_checksums() -> None:
    from tests.fuzz.picture import mend

    data = encoded(gradient(4, 4), "PNG")
    assert mend(data) == data
    spoilt = data[:29] + bytes(4) + data[33:]  # of IHDR
    assert mend(spoilt) == data
    assert mend(spoilt[:-3])[:-9] == data[:-12]
    assert mend(b"GIF89a") == b"GIF89a"


def test_an_unknown_target_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "nonsense"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no target nonsense; there are multipart" in done.stderr
