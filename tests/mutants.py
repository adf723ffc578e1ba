"""`python -m tests.mutants [WORD …]`: take out each safeguard, and see a test fail for it.

Each mutant lives in a copy of the tree. First its tests must pass there as they are; then its one
text is replaced, and they must fail. A text that is not there, or more than once, is an error: the
table has to follow the code. WORDs choose the mutants whose name holds one of them.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutant_table import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent
COPIED = (
    "server",
    "gateway_http",
    "sandbox",
    "cli",
    "bench",
    "generated",
    "tests",
    "proto",
    "docs",
)
FILES = ("pyproject.toml", "README.md", "CONTRIBUTING.md")
SECONDS = 300
_PASSED, _FAILED = 0, 1


def copied(folder: Path) -> Path:
    """Copy what tests need into `folder` and return it."""
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.exists():
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(source, folder / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    return folder


def outcome(tree: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    """Run tests in `tree` up to the first that fails; return pytest's exit code and its output."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    paths = os.pathsep.join((str(tree), str(tree / "generated")))
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    environment["IMAGEEDIT_TEST_WHOLE"] = "1"
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=SECONDS,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return _FAILED, "it hangs"
    return done.returncode, done.stdout + done.stderr


def applied(mutant: Mutant, source: str) -> str:
    """Return `source` without the safeguard; raises ValueError where it is not there once."""
    if (count := source.count(mutant.text)) != 1:
        raise ValueError(f"{mutant.file} has this {count} times, not once: {mutant.text}")
    return source.replace(mutant.text, mutant.instead)


def verdict(tree: Path, mutant: Mutant) -> str:
    """Return "" where the mutant is noticed, else what is wrong."""
    path = tree / mutant.file
    source = path.read_text("utf-8")
    try:
        mutated = applied(mutant, source)
    except ValueError as error:
        return str(error)
    try:
        path.write_text(mutated, "utf-8")
        code, said = outcome(tree, mutant.tests)
    finally:
        path.write_text(source, "utf-8")
    if code == _FAILED:
        return ""
    if code == _PASSED:
        return f"nothing noticed: {' '.join(mutant.tests)}"
    return f"pytest ended with {code}: {said[-1500:]}"


def sound(trees: queue.SimpleQueue[Path], mutants: dict[str, Mutant]) -> str:
    """Return "" where all named tests pass in a copy that nothing was taken out of."""
    tree = trees.get()
    whole = {
        test for mutant in mutants.values() for test in mutant.tests if "-k" not in mutant.tests
    }
    code, said = outcome(tree, tuple(sorted(whole)))
    trees.put(tree)
    return "" if code == _PASSED else said[-3000:]


def main(words: list[str]) -> int:
    """Return 1 where a safeguard can be taken out unnoticed."""
    chosen = {
        name: mutant
        for name, mutant in MUTANTS.items()
        if not words or any(word in name for word in words)
    }
    began = time.monotonic()
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(os.cpu_count() or 1):
            trees.put(copied(Path(scratch) / str(number)))

        def judge(name: str) -> tuple[str, str, float]:
            tree, started = trees.get(), time.monotonic()
            try:
                return name, verdict(tree, chosen[name]), time.monotonic() - started
            finally:
                trees.put(tree)

        for name, problem, seconds in pool.map(judge, chosen):
            print(
                f"{'noticed' if not problem else 'FAILED ':8}{seconds:5.1f} s  {name}", flush=True
            )
            if problem:
                wrong += 1
                print(f"        {problem}", flush=True)
        if complaint := sound(trees, chosen):
            wrong += 1
            print(f"FAILED with nothing taken out:\n{complaint}")
    print(f"{len(chosen)} safeguards, {wrong} problems, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
