"""The app that `bench.listeners` has served, and how cheroot serves it: alone, or as the front."""

from __future__ import annotations

import io
import signal
import sys
import time
from threading import Thread

from cheroot.wsgi import Server
from flask import Flask, Response, request

from gateway_http.form import FormReader
from gateway_http.journal import Journal
from gateway_http.listener import Listener

ANSWER = bytes(1_350_000)
app = Flask("listened")


@app.post("/edit")
def edit() -> Response:
    """Read the form as the front does, wait `seconds`, and answer."""
    reader = FormReader(b"b", ["prompt"])
    with reader.form:
        left = request.content_length or 0
        while left and (data := request.environ["wsgi.input"].read(min(left, 65_536))):
            left -= len(data)
            reader.feed(data)
        reader.finish()
        time.sleep(float(request.args.get("seconds", 0)))
    return Response(ANSWER, mimetype="application/json")


@app.get("/leaving")
def leaving() -> Response:
    """Tell by what the app can learn that its client has left."""
    ways = ("gunicorn.socket", "waitress.client_disconnected", "gateway_http.leaving")
    return Response(", ".join(way for way in ways if way in request.environ) or "no")


@app.get("/healthz")
def healthz() -> Response:
    """Answer at once."""
    return Response(b"{}", mimetype="application/json")


def main() -> None:
    """Serve until SIGTERM: `alone PORT THREADS` or `ours PORT THREADS`."""
    address, threads = ("127.0.0.1", int(sys.argv[2])), int(sys.argv[3])
    server: Server
    if sys.argv[1] == "ours":
        server = Listener(address, app, threads, Journal(io.StringIO()))
    else:
        server = Server(address, app, numthreads=threads, request_queue_size=1_024, timeout=30)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    server.prepare()
    Thread(target=server.serve).start()
    signal.sigwait({signal.SIGTERM})
    server.stop()


if __name__ == "__main__":
    main()
