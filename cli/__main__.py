"""`imageedit`: the commands and how they end.

Exit codes: 0 done · 1 not done, or not as it should be · 2 wrong usage or settings · 3 the request
or a picture is not usable · 4 the key is not valid or may not do this · 5 not enough credit · 6
busy or limited, try again later · 7 the upstream failed · 8 the gateway can't be reached · 130
interrupted.
"""

from __future__ import annotations

import click

from cli.credits import credit
from cli.demo import demo
from cli.edit import edit
from cli.keys import keys
from cli.migrate import migrate
from cli.models import models
from cli.serve import serve
from cli.usage import usage
from cli.users import users


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 not done, 2 wrong usage, 3 request not usable, 4 key not valid,"
    " 5 no credit, 6 busy or limited, 7 upstream failed, 8 gateway not reachable.",
)
@click.version_option(package_name="imageedit-gateway")
def main() -> None:
    """Edit pictures by text prompt, and run the gateway that does it.

    \b
    Start everything, without any provider key:   imageedit serve
    Make a key:                                   imageedit keys create --name me
    Edit a picture:                               imageedit edit photo.png "at night" -o night.png
    """


for command in (serve, keys, credit, users, usage, migrate, edit, models, demo):
    main.add_command(command)

if __name__ == "__main__":
    main()
