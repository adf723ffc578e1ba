"""`imageedit edit`: edits through the gateway's HTTP front, by one model or several at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from cli.client import Refused, aliases, url_option
from cli.edit_price import most
from cli.one_edit import Edit, Edited
from cli.progress import Progress
from cli.saved import beside, output_format, save
from cli.several_edits import Ended, Preview, Sent, perform_all

PASSED_ON = ("size", "quality", "background", "mask_fidelity", "mask_convention")
TICK_SECONDS = 0.5
PICTURE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("image", type=PICTURE)
@click.argument("prompt")
@click.option(
    "--mask",
    type=PICTURE,
    help="Where to edit: opaque (or white) is edited, transparent (or black) preserved."
    " `imageedit mask` makes one.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    default=["openai/gpt-image-2"],
    show_default=True,
    shell_complete=aliases,
    help="brand/model; several times for several at once, each into a file with its name.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where the picture goes; its ending (.png, .jpg, .webp) chooses the format.",
)
@click.option(
    "--key", envvar="IMAGEEDIT_KEY", show_envvar=True, required=True, help="The gateway's key."
)
@url_option
@click.option("--size", help="WIDTHxHEIGHT or auto.")
@click.option(
    "--quality",
    type=click.Choice(["low", "medium", "high", "auto"]),
    help="The effort of the model; the price goes with it.",
)
@click.option(
    "--background",
    type=click.Choice(["transparent", "opaque", "auto"]),
    help="What is behind the motif.",
)
@click.option(
    "--mask-fidelity",
    type=click.Choice(["exact", "hint"]),
    help="Whether all outside the mask comes back unchanged (exact, the default).",
)
@click.option(
    "--mask-convention",
    type=click.Choice(["opaque", "transparent", "luminance"]),
    help="Which pixels of the mask are edited; transparent: a mask made for OpenAI.",
)
@click.option(
    "--stream", is_flag=True, help="Save partial pictures on the way, as OUTPUT.partial-0.png …"
)
@click.option("--open", "show", is_flag=True, help="Show the result as the desktop shows pictures.")
@click.option("--json", "as_json", is_flag=True, help="The facts as one JSON document on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Tell nothing but errors.")
@click.option("--dry-run", is_flag=True, help="Only print what the edit costs at the most.")
def edit(
    *,
    image: Path,
    prompt: str,
    mask: Path | None,
    models: tuple[str, ...],
    output: Path | None,
    key: str,
    url: str,
    stream: bool,
    show: bool,
    as_json: bool,
    quiet: bool,
    dry_run: bool,
    **options: str | None,
) -> None:
    """Edit the picture IMAGE as PROMPT says and save the result.

    With several models the exit code is that of the first that failed.

    \b
    imageedit edit photo.jpg "make it snow" -o snow.png
    imageedit edit photo.png "a red boat" --mask lake.png --model qwen/qwen-image-edit -o boat.webp
    imageedit edit photo.png "at night" --model openai/gpt-image-2 --model qwen/qwen-image-edit \\
      -o night.png
    imageedit edit photo.png "a red boat" --quality low --dry-run
    """
    models = tuple(dict.fromkeys(models))
    if dry_run:
        prices = {
            model: most(url, key, model, prompt, image, masked=mask is not None, **options)
            for model in models
        }
        _tell_prices(prices, as_json=as_json)
        return
    if output is None:
        raise click.MissingParameter(param_hint="'-o' / '--output'", param_type="option")
    fields: dict[str, str | tuple[str, bytes]] = {"prompt": prompt}
    fields["output_format"] = output_format(output)
    fields |= {name: value for name in PASSED_ON if (value := options.get(name)) is not None}
    fields["image"] = (image.name, image.read_bytes())
    if mask is not None:
        fields["mask"] = (mask.name, mask.read_bytes())
    outputs = {model: beside(output, model) if len(models) > 1 else output for model in models}
    edits = {model: Edit(url, key, {"model": model, **fields}, stream) for model in models}
    told = _run(edits, outputs, quiet=quiet, as_json=as_json)
    if as_json:
        results = [told[model][1] for model in models]
        click.echo(json.dumps({"results": results}, indent=2, ensure_ascii=False))
    if show:
        for model in models:
            if told[model][0] == 0:
                click.launch(str(outputs[model]))
    failed = [told[model][0] for model in models if told[model][0]]
    if failed:
        raise click.exceptions.Exit(failed[0])


def _run(
    edits: dict[str, Edit], outputs: dict[str, Path], *, quiet: bool, as_json: bool
) -> dict[str, tuple[int, dict[str, Any]]]:
    """Do all edits and save what comes; return of each its exit code and its facts for JSON."""
    told = {}
    partials: dict[str, list[str]] = {model: [] for model in edits}
    with Progress(len(edits), shown=not quiet) as progress:
        for event in perform_all(edits, TICK_SECONDS):
            match event:
                case None:
                    progress.show()
                case Sent(model, count, total):
                    progress.sent(model, count, total)
                case Preview(model, index, picture):
                    path = beside(outputs[model], f"partial-{index}")
                    save(path, picture)
                    partials[model].append(str(path))
                case Ended(model, outcome):
                    progress.done()
                    progress.clear()
                    if isinstance(outcome, Refused):
                        name = f"{model}: " if len(edits) > 1 else ""
                        click.echo(f"Error: {name}{outcome.message}", err=True)
                        told[model] = outcome.exit_code, {"model": model, "error": outcome.error}
                        continue
                    save(outputs[model], outcome.picture)
                    if not quiet:
                        # Beside JSON nothing else may be on standard output.
                        line = f"saved {outputs[model]}: {_line(outcome)}"
                        click.echo(line, err=as_json)
                    saved = {"output": str(outputs[model]), "partials": partials[model]}
                    told[model] = 0, outcome.facts | saved
    return told


def _line(edited: Edited) -> str:
    """Return in one line what came, what it cost, and how long it took."""
    facts = edited.facts
    words = [
        f"{facts['size']} {facts['output_format']}",
        f"{facts['bytes']:,} bytes",
        f"${facts['cost']}",
        f"{facts['seconds']:.1f} s",
    ]
    if facts["mask_drift"] is not None:
        words.append(f"mask drift {facts['mask_drift']}")
    line = ", ".join(words)
    if (facts["mask_method"] or "").endswith(";unaligned"):
        line += "; the model changed the framing: the mask protects nothing"
    if facts["ignored_parameters"]:
        line += f"; the model ignored {', '.join(facts['ignored_parameters'])}"
    return line


def _tell_prices(prices: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        results = [{"model": model, "max_cost": price} for model, price in prices.items()]
        click.echo(json.dumps({"results": results}, indent=2))
        return
    for model, price in prices.items():
        name = f"{model}: " if len(prices) > 1 else ""
        click.echo(f"{name}at most ${price}")
