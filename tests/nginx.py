"""The real nginx before the front, as its defaults have it but for its patience."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.running import eventually

# Debian puts it where only root looks.
PROGRAM = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 101m;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {url};
            proxy_http_version 1.1;
            proxy_read_timeout {patience}ms;
        }}
    }}
}}
"""


@contextmanager
def nginx_before(url: str, patience: float, folder: Path) -> Iterator[str]:
    """Yield the URL of an nginx before `url` that waits `patience` seconds for the next bytes."""
    assert PROGRAM is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = CONFIGURATION.format(folder=folder, port=port, url=url, patience=round(patience * 1000))
    (folder / "nginx.conf").write_text(text)
    command = [PROGRAM, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    with subprocess.Popen(command) as running:
        try:
            assert eventually(lambda: _listens(port), seconds=10)
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
