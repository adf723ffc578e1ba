"""`imageedit`: the commands and how they end.

Exit codes: 0 done · 1 not done, or not as it should be · 2 wrong usage or settings · 3 the request
or a picture is not usable · 4 the key is not valid or may not do this · 5 not enough credit · 6
busy or limited, try again later · 7 the upstream failed · 8 the gateway can't be reached · 130
interrupted.
"""

from __future__ import annotations

from importlib import import_module

import click

# The module of each, and its name there. Only the one that is run is loaded: who edits a picture
# has no need of the database's library.
COMMANDS = {
    "serve": ("cli.serve", "serve"),
    "keys": ("cli.keys", "keys"),
    "credits": ("cli.credits", "credit"),
    "users": ("cli.users", "users"),
    "usage": ("cli.usage", "usage"),
    "migrate": ("cli.migrate", "migrate"),
    "edit": ("cli.edit", "edit"),
    "mask": ("cli.mask", "mask"),
    "models": ("cli.models", "models"),
    "doctor": ("cli.doctor", "doctor"),
    "demo": ("cli.demo", "demo"),
    "completion": ("cli.completion", "completion"),
}


INTERRUPTED = 130


class Commands(click.Group):
    """The commands, each loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name; `None` where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

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
