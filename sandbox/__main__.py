"""`python -m sandbox`: run the simulator until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import logging
import signal
import threading

from sandbox.server import SandboxServer

log = logging.getLogger("sandbox")


def main() -> None:
    """Print the URL when ready, answer, and exit with 0 when told to stop."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0, the default: any free port")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that every edit takes")
    parser.add_argument("--verbose", action="store_true", help="log every request")
    options = parser.parse_args()
    level = logging.DEBUG if options.verbose else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s sandbox %(levelname)s %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # a parent may handle Ctrl-C for us
        signal.signal(signal.SIGINT, lambda *_: stop.set())
    with SandboxServer(options.host, options.port, options.delay) as server:
        log.warning(
            "this is a simulator: no real model is asked, pictures are edited by simple filters"
        )
        print(f"sandbox upstream (a simulator) on {server.url}", flush=True)
        stop.wait()
    log.info("the simulator has stopped")


if __name__ == "__main__":
    main()
