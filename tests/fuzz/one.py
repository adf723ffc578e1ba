"""`python -m tests.fuzz.one TARGET SECONDS FOLDER`: fuzz one target with atheris (libFuzzer).

FOLDER keeps what the search learned, and what it found. A try may take SLOW seconds and the
process MEMORY mebibytes. Exits with 0 when the time is up and nothing was found.
"""

from __future__ import annotations

import hashlib
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path

import atheris

from tests.fuzz.targets import PACKAGES, found

SLOW = 10
MEMORY = 1024
FOUND_SOMETHING = 77


def main(name: str, seconds: str, folder: Path) -> None:
    """Search until the time is up; libFuzzer ends the process."""
    with atheris.instrument_imports(include=list(PACKAGES[name])):
        target = import_module(f"tests.fuzz.{name}")
    learned, words = folder / name, folder / f"{name}.words"
    learned.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate((*target.SEEDS, *found(name))):
        (learned / f"seed-{number}").write_bytes(seed)
    lines = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.WORDS)
    words.write_text("".join(f'"{line}"\n' for line in lines))
    mend = getattr(target, "mend", None)

    def mutate(data: bytes, size: int, _: int) -> bytes:
        return mend(atheris.Mutate(data, size))[:size]

    options = [
        f"-max_total_time={seconds}",
        f"-max_len={target.MAX_LENGTH}",
        f"-timeout={SLOW}",
        f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={folder / name}-",
        f"-dict={words}",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    extra = {} if mend is None else {"custom_mutator": mutate}

    def check(data: bytes) -> None:
        try:
            target.check(data)
        except Exception:  # noqa: BLE001 -- whatever it is, it is what was looked for
            # libFuzzer's own way out is not always quick enough for its alarm clock.
            traceback.print_exc()
            failed = folder / f"{name}-crash-{hashlib.sha256(data).hexdigest()[:12]}"
            failed.write_bytes(data)
            print(f"found: {failed}", file=sys.stderr, flush=True)
            os._exit(FOUND_SOMETHING)

    atheris.Setup([sys.argv[0], *options, str(learned)], check, **extra)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
