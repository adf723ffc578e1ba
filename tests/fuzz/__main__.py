"""`python -m tests.fuzz [--seconds N] [TARGET …]`: search for bytes that do what nothing may do.

All targets unless some are named, a process each and as many at once as there are processors.
What is found is named by its file: put it into tests/fuzz/found/TARGET, mend the code, and the
test suite keeps it mended.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.targets import PACKAGES

FOLDER = Path(".fuzz")
_LAST_LINES = 40


def search(name: str, seconds: int) -> bool:
    """Fuzz one target; tell whether nothing was found, and print what became of it."""
    log = FOLDER / f"{name}.log"
    command = [sys.executable, "-m", "tests.fuzz.one", name, str(seconds), str(FOLDER)]
    with log.open("wb") as file:
        ended = subprocess.run(command, stdout=file, stderr=file, check=False).returncode
    said = log.read_text("utf-8", "replace")
    runs = re.search(r"number_of_executed_units: (\d+)", said)
    peak = re.search(r"peak_rss_mb: +(\d+)", said)
    sound = ended == 0 and runs is not None and peak is not None
    if sound:
        each = f"{int(runs[1]):>9} tries, {int(runs[1]) // seconds:>6} a second"
        print(f"{name:10} {each}, {peak[1]:>4} MiB at most: nothing found", flush=True)
    else:
        shown = "\n".join(said.splitlines()[-_LAST_LINES:])
        print(f"{name:10} FAILED ({ended}), see {log}:\n{shown}", flush=True)
    return sound


def main() -> int:
    """Return 1 if anything was found, or nothing could be searched where nothing may be skipped."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(PACKAGES))
    options = parser.parse_args()
    if unknown := set(options.targets) - set(PACKAGES):
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(PACKAGES)}")
    if find_spec("atheris") is None:
        print("nothing was fuzzed: atheris has no wheel for this platform")
        return int("IMAGEEDIT_TEST_NO_SKIP" in os.environ)
    FOLDER.mkdir(exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        sound = list(
            pool.map(lambda name: search(name, options.seconds), options.targets or PACKAGES)
        )
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
