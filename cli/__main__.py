"""`imageedit`: the commands and how they end.

Exit codes: 0 done · 1 not done, or not as it should be · 2 wrong usage or settings · 3 the request
or a picture is not usable · 4 the key is not valid or may not do this · 5 not enough credit · 6
busy or limited, try again later · 7 the upstream failed · 8 the gateway can't be reached · 130
interrupted.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

import click
from click.shell_completion import CompletionItem

# The module of each, its name there, and what the list says of it. Only the one that is run is
# loaded: who edits a picture, or completes a word, has no need of the database's library.
COMMANDS = {
    "serve": ("cli.serve", "serve", "Run the gateway until Ctrl-C."),
    "demo": ("cli.demo", "demo", "Edit a sample picture under a mask, from start to stop."),
    "edit": ("cli.edit", "edit", "Edit a picture and save the result."),
    "mask": ("cli.mask", "mask", "Make a mask: where an edit may change a picture."),
    "models": ("cli.models", "models", "List the models of the gateway and their prices."),
    "keys": ("cli.keys", "keys", "Make, list, rotate and revoke keys."),
    "credits": ("cli.credits", "credit", "Add credits, show them, check the books."),
    "users": ("cli.users", "users", "Block end users of an account."),
    "usage": ("cli.usage", "usage", "Sum up edits: how many, tokens, paid, lost."),
    "doctor": ("cli.doctor", "doctor", "Check keys, upstreams, database, ports and dates."),
    "migrate": ("cli.migrate", "migrate", "Bring the database to this version."),
    "completion": ("cli.completion", "completion", "Print what a shell needs to complete."),
}


INTERRUPTED = 130


class Commands(click.Group):
    """The commands, each loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, the most used first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name; `None` where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; of one that is not there, name what may be meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise click.UsageError(error.message + hint, ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (*_, about) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin with what was typed."""
        options = click.Command.shell_complete(self, ctx, incomplete)
        found = [
            CompletionItem(name, help=about)
            for name, (*_, about) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return found + options

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; Ctrl-C ends it with the code that shells give to an interrupted one."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\ninterrupted", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 not done, 2 wrong usage, 3 request not usable, 4 key not valid,"
    " 5 no credit, 6 busy or limited, 7 upstream failed, 8 gateway not reachable, 130 interrupted.",
)
@click.version_option(package_name="imageedit-gateway")
def main() -> None:
    """Edit pictures by text prompt, and run the gateway that does it.

    \b
    Start everything, without any provider key:   imageedit serve
    Make a key:                                   imageedit keys create --name me
    Edit a picture:                               imageedit edit photo.png "at night" -o night.png
    Make a mask:                                  imageedit mask photo.png -o mask.png --bright 200
    """


if __name__ == "__main__":
    main()
