"""A reader of the pages: the checkout they stand in, and what runs there when they type."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from tests.programs import ROOT, ROOTS

SMALLER, SKY = 8, "#87ceeb"
_KUBECTL = f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tests.fake_kubectl "$@"\n'


def check_out(folder: Path) -> Path:
    """Make `folder` look like a checkout whose samples are small; return it.

    photo.jpg is the picture that a reader brings along, of a clear sky.
    """
    samples = folder / "docs" / "samples"
    samples.mkdir(parents=True)
    for path in (ROOT / "docs" / "samples").glob("*.png"):
        with Image.open(path) as picture:
            size = picture.width // SMALLER, picture.height // SMALLER
            small = picture.resize(size, Image.Resampling.BOX)
            small.save(samples / path.name)
            if path.name == "landscape.png":
                small.paste(SKY, (0, 0, size[0], size[1] // 3))
                small.convert("RGB").save(folder / "photo.jpg", quality=95)
    for name in ("Makefile", "pyproject.toml", "deploy", "server"):
        (folder / name).symlink_to(ROOT / name)
    installed = folder / ".venv"
    installed.mkdir()
    for path in Path(sys.prefix).iterdir():
        (installed / path.name).symlink_to(path)
    for stage in (".run", ".dev"):  # as new as make wants them
        (installed / stage).unlink(missing_ok=True)
        (installed / stage).touch()
    tools = folder / "tools"
    tools.mkdir()
    (tools / "kubectl").write_text(_KUBECTL)
    (tools / "kubectl").chmod(0o755)
    return folder


def environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Return a reader's environment: `settings`, and where things are found."""
    path = (folder / ".venv" / "bin", folder / "tools", os.environ["PATH"])
    return {
        "HOME": str(folder),
        "PATH": os.pathsep.join(map(str, path)),
        "PYTHONPATH": os.pathsep.join(map(str, ROOTS)),
        **settings,
    }


def type_in(text: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a block in bash and return what it printed; fails where it does.

    Without an `environment` it is this process's.
    """
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
