"""The playground's modules where Node can import them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.node_scripts import NODE_FOLDER, NotThere
from tests.programs import ROOT

PLAYGROUND = ROOT / "gateway_http" / "playground"


def node_folder(folder: Path, script: str) -> Path:
    """Copy modules and `script` into `folder`; return the copied script's path.

    Browsers know a module by how it is asked for, Node by the package.json beside it.
    """
    if shutil.which("node") is None:
        raise NotThere("node is not installed")
    for module in PLAYGROUND.glob("*.js"):
        shutil.copy(module, folder)
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    return Path(shutil.copy(NODE_FOLDER / script, folder))


def answer(folder: Path, script: str, question: object) -> Any:
    """Return what `script` prints when it is given `question`, both JSON; raises NotThere."""
    done = subprocess.run(
        ["node", node_folder(folder, script)],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
