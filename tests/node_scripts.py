"""Scripts for Node, with the packages of tests/node/package-lock.json beside them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

NODE_FOLDER = Path(__file__).parent / "node"
# The folder of the environment that runs, .venv as a rule: `make clean` takes it away.
CACHE = Path(sys.prefix)
OLDEST_NODE = 20
PATIENCE = ("--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-timeout=20000")
NO_NETWORK = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH")


class NotThere(Exception):
    """The script needs something that is missing on this machine; the text says what."""


def node_script(name: str, folder: Path) -> Path:
    """Return the path of a copy in `folder` of the script that can be run; raises NotThere."""
    (folder / "node_modules").symlink_to(node_modules())
    return Path(shutil.copy(NODE_FOLDER / name, folder))


def node_modules() -> Path:
    """Return the folder of the packages for a Node that is recent enough; raises NotThere."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise NotThere(f"{program} is not installed")
    asked = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    if int(asked.stdout.lstrip("v").partition(".")[0]) < OLDEST_NODE:
        raise NotThere(f"node {asked.stdout.strip()} is too old: {OLDEST_NODE} is needed")
    return _packages() / "node_modules"


def _packages() -> Path:
    """Return a folder with node_modules, fetched once for each lock file."""
    lock = (NODE_FOLDER / "package-lock.json").read_bytes()
    cached = CACHE / f"node-{sha256(lock).hexdigest()[:12]}"
    if cached.exists():
        return cached
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        making = Path(scratch) / "made"
        making.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(NODE_FOLDER / name, making)
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", *PATIENCE],
            cwd=making,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 and (problem := NO_NETWORK.search(done.stderr)):
            raise NotThere(f"npm does not reach its registry: {problem[0]}")
        assert done.returncode == 0, done.stderr
        try:
            making.rename(cached)
        except OSError:  # another process was faster
            assert cached.exists()
    return cached
