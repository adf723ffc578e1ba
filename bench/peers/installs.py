"""How the peers come onto this machine, which versions they are, and how much disk they take.

All goes under `.bench/`, once; nothing of the system is changed.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".bench"
LITELLM = "1.108.7"
PORTKEY = "1.15.2"
HONO = "1.14.1"
"""With the newer @hono/node-server that Portkey's package admits, every 200 becomes a 500."""
TOOLS = frozenset({"pip", "setuptools", "_distutils_hack", "pkg_resources"})
"""What a fresh environment has before anything is installed into it."""


class Missing(Exception):
    """A peer cannot be had here; the message says why."""


def litellm() -> Path:
    """Return LiteLLM's program, from PyPI in an environment of its own."""
    place = PLACE / f"litellm-{LITELLM}"
    program = place / "bin" / "litellm"
    if not (place / "installed").exists():
        shutil.rmtree(place, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(place))
        _run(str(place / "bin" / "python"), "-m", "pip", "install", "--quiet",
             "--disable-pip-version-check", f"litellm[proxy]=={LITELLM}")  # fmt: skip
        (place / "installed").touch()
    return program


def portkey() -> Path:
    """Return Portkey's start script, from npm."""
    place = PLACE / f"portkey-{PORTKEY}"
    if not (place / "installed").exists():
        npm = shutil.which("npm")
        if npm is None or shutil.which("node") is None:
            raise Missing("Node and npm are not installed")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        package = {
            "private": True,
            "dependencies": {"@portkey-ai/gateway": PORTKEY},
            "overrides": {"@hono/node-server": HONO},
        }
        (place / "package.json").write_text(json.dumps(package), "utf-8")
        _run(npm, "install", "--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts",
             "--prefix", str(place))  # fmt: skip
        (place / "installed").touch()
    return place / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"


def nginx() -> Path:
    """Return the nginx of this machine; Debian puts it where only root looks."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise Missing("nginx is not installed (apt-get install nginx-light)")
    return Path(program)


def nginx_version() -> str:
    """Return nginx's version."""
    said = subprocess.run([str(nginx()), "-v"], capture_output=True, text=True, check=True)  # noqa: S603
    return said.stderr.strip().rpartition("/")[2].split()[0]


def disk_of_nginx() -> int:
    """Return the bytes of the program; its modules and what it links against are Debian's."""
    return bytes_under(nginx())


def disk_of_litellm() -> int:
    """Return the bytes of LiteLLM's packages and of all that they need."""
    packages = next((litellm().parents[1] / "lib").glob("python*/site-packages"))
    return sum(
        bytes_under(entry)
        for entry in packages.iterdir()
        if re.split(r"[-.]", entry.name)[0] not in TOOLS
    )


def disk_of_portkey() -> int:
    """Return the bytes of Portkey's package and of all that it needs."""
    return bytes_under(PLACE / f"portkey-{PORTKEY}" / "node_modules")


def disk_of_ours() -> int:
    """Return the bytes of this gateway and of what `deploy/requirements.txt` pins."""
    pins = (ROOT / "deploy" / "requirements.txt").read_text("utf-8")
    total = 0
    for name in re.findall(r"^([A-Za-z0-9_.-]+)==", pins, re.MULTILINE):
        try:
            files = importlib.metadata.files(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system
        total += sum(
            path.stat().st_size for file in files if (path := Path(str(file.locate()))).exists()
        )
    own = ("server", "gateway_http", "sandbox", "cli", "generated", "proto")
    return total + sum(bytes_under(ROOT / name) for name in own)


def bytes_under(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if path.is_symlink():
        return 0
    if path.is_dir():
        return sum(bytes_under(entry) for entry in path.iterdir())
    return path.stat().st_size


def _run(*command: str) -> None:
    print(f"installing: {' '.join(command)}", file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603 -- our own words
