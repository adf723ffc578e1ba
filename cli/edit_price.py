"""What an edit costs at the most, asked of the gateway; no picture is sent."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cli.client import Upload, call

PRICED = ("size", "quality")


def most(
    url: str,
    key: str,
    model: str,
    prompt: str,
    image: Path,
    *,
    masked: bool,
    **options: str | None,
) -> str:
    """Return the most that an edit costs in US dollars, exact."""
    priced: dict[str, object] = {"model": model, "prompt": prompt, "images": 1, "mask": masked}
    priced |= {name: value for name in PRICED if (value := options.get(name))}
    priced |= {"image_size": size} if (size := _size(image)) else {}
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
