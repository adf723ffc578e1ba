"""`imageedit serve`: both programs in one process, and a sandbox upstream where it is wanted."""

from __future__ import annotations

import shlex
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import click

from cli.database import clock, database, keys_of, ledger_of
from cli.routes import METRICS_ADDRESS
from cli.samples import PROMPT, sample
from cli.stack import Stack, StackError, environment

TRIAL_CREDIT_NANOS = 10 * 10**9
TRIAL_MS = 7 * 24 * 60 * 60 * 1000


@click.command()
@click.option(
    "--sandbox",
    is_flag=True,
    help="Simulate the providers that have no key (as happens when none has one).",
)
@click.option(
    "--trial-key",
    is_flag=True,
    help="Make a key for this run, print it with a curl command, and revoke it at the end.",
)
def serve(*, sandbox: bool, trial_key: bool) -> None:
    """Run the HTTP front and the gRPC service until Ctrl-C, which lets held edits end first.

    Providers are configured by OPENAI_API_KEY, OPENROUTER_API_KEY and SILICONFLOW_API_KEY. With
    none of them set, a sandbox upstream is started that simulates all three and costs nothing.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stack = Stack(with_metrics(environment()), sandbox=sandbox)
    try:
        if trial_key:
            # The key outlives the stack, so that what is under way at the end still may.
            with trial() as secret, stack:
                announce(stack)
                click.echo(f"key          {secret}")
                click.echo("\nTry it:\n\n" + curl(stack, secret) + "\n")
                click.echo("Append this to it to get the picture:\n")
                click.echo("  | jq -r '.data[0].b64_json' | base64 -d > edited.png\n")
                click.echo("Ctrl-C lets held edits end and stops.")
                stack.wait()
        with stack:
            announce(stack)
            click.echo("A key: imageedit keys create --name me --credits 10.00")
            stack.wait()
    except StackError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("stopped")


def with_metrics(settings: dict[str, str]) -> dict[str, str]:
    """Return `settings` with an address for the service's metrics, where the usual one is free."""
    if settings.get("IMAGEEDIT_METRICS_ADDRESS") or not _is_free(METRICS_ADDRESS):
        return settings
    return settings | {"IMAGEEDIT_METRICS_ADDRESS": METRICS_ADDRESS}


def _is_free(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return False
    return True


def announce(stack: Stack) -> None:
    """Print where the gateway is and, plainly, what is simulated."""
    click.echo(f"\ngateway      {stack.url}")
    click.echo(f"playground   {stack.url}/")
    if stack.log_path:
        click.echo(f"log          {stack.log_path}")
    if stack.sandboxed:
        click.secho(
            f"SANDBOX      {', '.join(stack.sandboxed)}: simulated, no provider key is used, no"
            " vendor is called, pictures are edited by simple filters",
            fg="yellow",
        )


@contextmanager
def trial() -> Iterator[str]:
    """Yield a key that lives as long as the block."""
    with database() as store:
        ends = clock() + TRIAL_MS  # should this process be killed
        made, secret = keys_of(store).create("trial", ends=ends)
        ledger_of(store).top_up(made.account_id, TRIAL_CREDIT_NANOS)
    try:
        yield secret
    finally:
        with database() as store:
            keys_of(store).revoke(made.id)


def curl(stack: Stack, secret: str) -> str:
    """Return a curl command, in one line, that edits the sample picture."""
    picture = sample()
    words = ["curl", "-s", f"{stack.url}/v1/images/edits", "-H", f"Authorization: Bearer {secret}"]
    fields = (
        f"model={stack.model()}",
        f"prompt={PROMPT}",
        f"image=@{picture.image}",
        f"mask=@{picture.mask}",
    )
    return shlex.join([*words, *(word for field in fields for word in ("-F", field))])
