"""The gateways, each as its own documentation advises to run it, with one worker.

Ours: `imageedit serve`, one process, and its two programs by themselves; accounts, limits, checks
of pictures, logs and metrics are on, for they cannot be switched off.
LiteLLM: "Production Best Practices"; its database is optional, so without it has the master key
alone and keeps no accounts. Portkey: "NodeJS Server" of its installation page, and the headers of
its quick start.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.peers import installs
from bench.peers.material import MODEL
from bench.peers.running import Running, free_port, start

HELD = {"IMAGEEDIT_MAX_EDITS": "2400", "IMAGEEDIT_HTTP_THREADS": "2400"}
"""What ours is told where 2,000 edits are to be held at once; otherwise its defaults hold."""
LITELLM_KEY = "sk-bench-4d9a1be2f3c54a7c"
NGINX = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 101m;
    upstream fixed {{ server 127.0.0.1:{upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://fixed;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
            proxy_read_timeout 300s;
        }}
    }}
}}
"""
LITELLM = """
model_list:
  - model_name: {model}
    litellm_params:
      model: {model}
      api_base: http://127.0.0.1:{upstream}/v1
      api_key: sk-upstream
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
litellm_settings:
  request_timeout: 600
  set_verbose: False
  json_logs: true
"""


@dataclass(frozen=True, slots=True)
class Gateway:
    """One row: how it is begun and told apart.

    `begin` starts it in a folder, before an upstream's port, and with room for 2,000 held edits
    where that is true; `disk` is in bytes.
    """

    name: str
    title: str
    begin: Callable[[Path, int, bool], Running]
    version: Callable[[], str]
    disk: Callable[[], int]


def begin_nginx(folder: Path, upstream: int, _held: bool) -> Running:
    """Start nginx as a proxy that passes bytes on as they come."""
    port = free_port()
    text = NGINX.format(folder=folder, port=port, upstream=upstream)
    (folder / "nginx.conf").write_text(text, "utf-8")
    log = folder / "log"
    command = [str(installs.nginx()), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    return Running(port, start(command, {}, log), log)


def begin_portkey(folder: Path, upstream: int, _held: bool) -> Running:
    """Start Portkey's Node server, without its console."""
    port, log = free_port(), folder / "log"
    command = ["node", str(installs.portkey()), f"--port={port}", "--headless"]
    headers = {
        "Authorization": "Bearer sk-upstream",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1",
    }
    return Running(port, start(command, {"NODE_ENV": "production"}, log), log, headers)


def begin_litellm(folder: Path, upstream: int, _held: bool) -> Running:
    """Start LiteLLM's proxy with one worker and a master key."""
    port, log = free_port(), folder / "log"
    (folder / "config.yaml").write_text(LITELLM.format(model=MODEL, upstream=upstream), "utf-8")
    command = [str(installs.litellm()), "--config", str(folder / "config.yaml"),
               "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]  # fmt: skip
    environment = {
        "LITELLM_MASTER_KEY": LITELLM_KEY,
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else its start waits for a download
    }
    headers = {"Authorization": f"Bearer {LITELLM_KEY}"}
    return Running(port, start(command, environment, log), log, headers)


def begin_serve(folder: Path, upstream: int, held: bool) -> Running:
    """Start this gateway by `imageedit serve`."""
    port, log = free_port(), folder / "log"
    environment = ours(folder, upstream, port) | (HELD if held else {})
    headers = key(environment, folder)
    return Running(port, start([program(), "serve"], environment, log), log, headers)


def begin_apart(folder: Path, upstream: int, held: bool) -> Running:
    """Start this gateway's two programs by themselves."""
    port, log = free_port(), folder / "log"
    environment = ours(folder, upstream, port) | (HELD if held else {})
    headers = key(environment, folder)
    service = start([sys.executable, "-m", "server"], environment, log)
    front = start([sys.executable, "-m", "gateway_http"], environment, log)
    return Running(port, front, log, headers, more=[service])


def ours(folder: Path, upstream: int, port: int) -> dict[str, str]:
    """Return this gateway's settings."""
    return {
        "OPENAI_API_KEY": "sk-upstream",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream}/v1",
        "IMAGEEDIT_DATABASE_URL": f"sqlite:///{folder / 'imageedit.db'}",
        "IMAGEEDIT_HTTP_ADDRESS": f"127.0.0.1:{port}",
        "IMAGEEDIT_GRPC_ADDRESS": f"127.0.0.1:{free_port()}",
        "IMAGEEDIT_METRICS_ADDRESS": f"127.0.0.1:{free_port()}",
    }


def key(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """Make a key whose limits no load reaches; return the header that carries it."""
    command = [program(), "keys", "create", "--name", "bench", "--credits", "1000000",
               "--rate-limit", "1000000", "--concurrency", "1000000"]  # fmt: skip
    made = subprocess.run(  # noqa: S603 -- our own words
        command, env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    return {"Authorization": f"Bearer {made.stdout.strip()}"}


def program() -> str:
    """Return the path of the command `imageedit`."""
    return str(Path(sys.executable).parent / "imageedit")


def _ours_version() -> str:
    command = ["git", "-C", str(installs.ROOT), "describe", "--always", "--dirty"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return said.stdout.strip() or "unknown"


def _litellm_version() -> str:
    installs.litellm()
    return installs.LITELLM


def _portkey_version() -> str:
    package = installs.portkey().parents[1] / "package.json"
    return str(json.loads(package.read_text("utf-8"))["version"])


GATEWAYS = {
    each.name: each
    for each in (
        Gateway(
            "nginx",
            "nginx (the floor)",
            begin_nginx,
            installs.nginx_version,
            installs.disk_of_nginx,
        ),
        Gateway("ours", "this gateway", begin_serve, _ours_version, installs.disk_of_ours),
        Gateway("apart", "… as two programs", begin_apart, _ours_version, installs.disk_of_ours),
        Gateway("portkey", "Portkey", begin_portkey, _portkey_version, installs.disk_of_portkey),
        Gateway("litellm", "LiteLLM", begin_litellm, _litellm_version, installs.disk_of_litellm),
    )
}
