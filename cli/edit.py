"""`imageedit edit`: one edit through the gateway's HTTP front, with progress."""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from urllib3.filepost import encode_multipart_formdata

from cli.client import Upload, call, url_option

PASSED_ON = ("size", "quality", "background", "output_format", "mask_fidelity", "mask_convention")


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("prompt")
@click.option(
    "--mask",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Where to edit: opaque (or white) is edited, transparent (or black) preserved.",
)
@click.option("--model", default="openai/gpt-image-2", show_default=True, help="brand/model")
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
@click.option("--quality", type=click.Choice(["low", "medium", "high", "auto"]))
@click.option("--background", type=click.Choice(["transparent", "opaque", "auto"]))
@click.option("--mask-fidelity", type=click.Choice(["exact", "hint"]))
@click.option("--mask-convention", type=click.Choice(["opaque", "transparent", "luminance"]))
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
@click.option("--dry-run", is_flag=True, help="Only print what the edit costs at the most.")
def edit(
    *,
    image: Path,
    prompt: str,
    mask: Path | None,
    model: str,
    output: Path | None,
    key: str,
    url: str,
    quiet: bool,
    dry_run: bool,
    **options: str | None,
) -> None:
    """Edit the picture IMAGE as PROMPT says and save the result.

    \b
    imageedit edit photo.jpg "make it snow" -o snow.png
    imageedit edit photo.png "a red boat" --mask lake.png --model qwen/qwen-image-edit -o boat.webp
    imageedit edit photo.png "a red boat" --quality low --dry-run
    """
    if dry_run:
        priced = {"model": model, "prompt": prompt, "images": 1, "mask": mask is not None}
        priced |= {name: value for name in ("size", "quality") if (value := options[name])}
        priced |= {"image_size": size} if (size := _size(image)) else {}
        click.echo(f"at most ${_most(url, key, priced)}")
        return
    if output is None:
        raise click.MissingParameter(param_hint="'-o' / '--output'", param_type="option")
    options["output_format"] = _output_format(output)
    if not output.parent.is_dir():
        raise click.BadParameter(f"there is no folder {output.parent}", param_hint="--output")
    fields: dict[str, str | tuple[str, bytes]] = {"model": model, "prompt": prompt}
    fields |= {name: value for name in PASSED_ON if (value := options.get(name)) is not None}
    fields["image"] = (image.name, image.read_bytes())
    if mask is not None:
        fields["mask"] = (mask.name, mask.read_bytes())
    body, content_type = encode_multipart_formdata(fields)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": content_type}
    with _progress(len(body), quiet=quiet) as progress:
        upload = Upload(body, progress.uploaded)
        answer = call("POST", f"{url.rstrip('/')}/v1/images/edits", headers, upload)
    document = answer.json()
    picture = base64.b64decode(document["data"][0]["b64_json"])
    temporary = output.with_name(output.name + ".part")
    temporary.write_bytes(picture)
    temporary.replace(output)
    if not quiet:
        unaligned = answer.headers.get("x-mask-method", "").endswith(";unaligned")
        ignored = answer.headers.get("x-ignored-parameters")
        drift = answer.headers.get("x-mask-drift")
        click.echo(
            f"saved {output}: {document['size']} {document['output_format']},"
            f" {len(picture):,} bytes, ${document['usage']['cost']}"
            + (f", mask drift {drift}" if drift else "")
            + ("; the model changed the framing: the mask protects nothing" * unaligned)
            + (f"; the model ignored {ignored}" if ignored else ""),
            err=True,
        )


def _most(url: str, key: str, priced: dict[str, object]) -> str:
    """Return what an edit costs at the most in US dollars, exact; no picture is sent."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    upload = Upload(json.dumps(priced).encode(), lambda _count: None)
    answer = call("POST", f"{url.rstrip('/')}/v1/images/edits/estimate", headers, upload)
    return str(answer.json(parse_float=str, parse_int=str)["max_cost"])


def _size(image: Path) -> str | None:
    """Return a picture's "WIDTHxHEIGHT", `None` for a file that the service will complain about."""
    # Slow to import, and rarely asked.
    from server.imaging.bad_picture import BadPicture  # noqa: PLC0415
    from server.imaging.decode import measure  # noqa: PLC0415

    try:
        file = measure(image.read_bytes(), sys.maxsize)
    except BadPicture:
        return None
    width, height = file.upright_size
    return f"{width}x{height}"


def _output_format(output: Path) -> str:
    formats = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
    chosen = formats.get(output.suffix.lower())
    if chosen is None:
        raise click.BadParameter("must end in .png, .jpg or .webp", param_hint="--output")
    return chosen


class _Progress:
    """Tells on standard error how the upload goes and how long the answer takes."""

    def __init__(self, total: int, *, shown: bool) -> None:
        self._total = total
        self._sent = 0
        self._shown = shown
        self._started = time.monotonic()
        self._done = threading.Event()

    def uploaded(self, count: int) -> None:
        """Count bytes that left."""
        self._sent += count
        if self._sent < self._total:
            self._show(f"uploading {self._sent * 100 // self._total:3} %")

    def tick(self) -> None:
        """Show the seconds until done; runs in a thread of its own."""
        while not self._done.wait(0.5):
            if self._sent >= self._total:
                self._show(f"waiting for the model, {time.monotonic() - self._started:.0f} s")

    def finish(self) -> None:
        """End the ticking and clear the line."""
        self._done.set()
        self._show("")

    def _show(self, text: str) -> None:
        if self._shown:
            click.echo(f"\r{text:<40}\r{text}", nl=False, err=True)


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[_Progress]:
    progress = _Progress(total, shown=not quiet and sys.stderr.isatty())
    ticking = threading.Thread(target=progress.tick, daemon=True)
    ticking.start()
    try:
        yield progress
    finally:
        progress.finish()
        ticking.join()
