"""Pillow's own test pictures, out of its source distribution on the package index in use."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

# The folder of the environment that runs, .venv as a rule: `make clean` takes it away.
CACHE = Path(sys.prefix)


class NotFetched(Exception):
    """The pictures are not to be had; the text ends in pip's last words."""


def pillow_test_images() -> Path:
    """Return a folder with Tests/images of the Pillow that is installed; raises NotFetched.

    It is fetched once (47 MB) and kept. pip unpacks a source distribution and then asks for its
    metadata, which needs build tools and may fail: what was unpacked before that stays, because of
    --no-clean, and is all that is wanted.
    """
    release = version("pillow")
    folder = CACHE / f"pillow-tests-{release}"
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        command = f"""
            -m pip download --quiet --no-clean --no-deps --no-build-isolation --retries 1
            --timeout 20 --no-binary pillow --dest {scratch} pillow=={release}
        """
        done = subprocess.run(
            [sys.executable, *command.split()],
            env=os.environ | {"TMPDIR": scratch},
            capture_output=True,
            text=True,
            check=False,
        )
        unpacked = next(Path(scratch).rglob("Tests/images"), None)
        if unpacked is None:
            last = done.stderr.strip().rpartition("\n")[2]
            raise NotFetched(f"pip gets no source distribution of Pillow: {last}")
        try:
            unpacked.rename(folder)
        except OSError:  # another process was faster
            assert folder.exists()
    return folder
