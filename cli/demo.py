"""`imageedit demo`: starts everything, performs one masked edit, says what it cost, and stops."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from cli import serve
from cli.edit import edit
from cli.samples import PROMPT, sample
from cli.stack import Stack, StackError, environment, free_address


@click.command()
@click.option(
    "-o",
    "--output",
    default="edited.png",
    show_default=True,
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
)
@click.option("--model", help="brand/model; openai/gpt-image-2 where it can be routed.")
@click.pass_context
def demo(context: click.Context, *, output: Path, model: str | None) -> None:
    """Edit a sample picture under a mask, from start to stop; without a provider key, simulated."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = environment()
    # A gateway that is running already is left alone.
    for variable in ("IMAGEEDIT_HTTP_ADDRESS", "IMAGEEDIT_GRPC_ADDRESS"):
        settings.setdefault(variable, free_address())
    stack = Stack(settings, sandbox=False)
    picture = sample()
    try:
        with serve.trial() as secret, stack:
            serve.announce(stack)
            click.echo(f"picture      {picture.image}\nmask         {picture.mask}")
            click.echo(f"prompt       {PROMPT}\n")
            context.invoke(
                edit,
                image=picture.image,
                prompt=PROMPT,
                mask=picture.mask,
                models=(model or stack.model(),),
                output=output,
                key=secret,
                url=stack.url,
                quiet=False,
            )
    except StackError as error:
        raise click.ClickException(str(error)) from None
