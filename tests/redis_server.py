"""A private Redis for tests, reached by a Unix socket; stopped and started at will.

A test module gets the fixtures by `pytest_plugins = ("tests.redis_server",)`; it may import from
here before that, hence PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest
import redis


class Redis:
    """Redis in a folder of its own, keeping nothing; `url` is where it is, or would be."""

    def __init__(self, program: str) -> None:
        self._program = program
        # Not pytest's: the path of a Unix socket may have 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="imageedit-redis-"))
        self.url = f"redis+unix://{self._folder / 'socket'}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Redis:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start it, with nothing in it, and wait until it answers."""
        options = {"port": "0", "unixsocket": "socket", "save": "", "appendonly": "no"}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [self._program, *words],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + 10
        client = self.client()
        while True:
            try:
                client.ping()
            except redis.RedisError:
                assert time.monotonic() < until, "Redis did not start"
                time.sleep(0.01)
            else:
                client.close()
                return

    def client(self) -> redis.Redis:
        """Return a plain client."""
        return redis.Redis(unix_socket_path=str(self._folder / "socket"))

    def kill(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture(scope="session")
def redis_program() -> str:
    """The program `redis-server` of this machine."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis's program is not on this machine (redis-server)")
    return program


@pytest.fixture
def redis_server(redis_program: str) -> Iterator[Redis]:
    """A running Redis of one's own."""
    with Redis(redis_program) as running:
        yield running
