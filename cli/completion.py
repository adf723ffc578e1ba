"""`imageedit completion`: what a shell needs to complete this command."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

NAME, VARIABLE = "imageedit", "_IMAGEEDIT_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script by which SHELL completes commands, options and their values.

    \b
    imageedit completion bash >> ~/.bashrc
    imageedit completion zsh >> ~/.zshrc
    imageedit completion fish > ~/.config/fish/completions/imageedit.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"there is no completion for {shell}")
    click.echo(found(context.find_root().command, {}, NAME, VARIABLE).source())
