"""The simulator to start and stop: in a test, or as a program."""

from __future__ import annotations

import threading
from typing import Self

from sandbox.calls import Call
from sandbox.listening import Listener


class SandboxServer:
    """The simulator on a port of its own; a context manager.

    `port` 0 means any free one. `delay` is the seconds that every edit takes at least. Pictures
    come with `share` of the sides that they should have, billed as if they were whole.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, delay: float = 0.0, *, share: float = 1.0
    ) -> None:
        self._server = Listener((host, port), delay, share)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="sandbox", daemon=True
        )

    def start(self) -> Self:
        """Begin to answer; the port is open since the construction."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop listening and end every connection; may be called without `start`."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.hang_up()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The origin, such as "http://127.0.0.1:4321"."""
        return self._server.origin

    @property
    def calls(self) -> tuple[Call, ...]:
        """What was asked so far, oldest first."""
        return self._server.log.all()

    def forget_calls(self) -> None:
        """Empty `calls`."""
        self._server.log.clear()

    def environment(self) -> dict[str, str]:
        """Return the settings that point the gateway here."""
        return environment(self.url)


def environment(url: str) -> dict[str, str]:
    """Return the settings that point the gateway at the sandbox at `url` (contract, section 6)."""
    keys = {f"{name}_API_KEY": "sandbox" for name in ("OPENAI", "OPENROUTER", "SILICONFLOW")}
    return {
        **keys,
        "OPENAI_BASE_URL": f"{url}/openai/v1",
        "OPENROUTER_BASE_URL": f"{url}/openrouter/api/v1",
        "SILICONFLOW_BASE_URL": f"{url}/siliconflow/v1",
        "IMAGEEDIT_DOWNLOAD_ORIGINS": url,
    }
