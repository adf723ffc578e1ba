"""Golden cases of the providers: where they are, how they are read, how outcomes are written.

A case is a folder tests/golden/PROVIDER/CASE with edit.json and request.json, or response.json
and result.json, or all four. In a response, {"$base64": NAME} and {"$data_url": NAME} stand for a
picture of tests/golden/pictures; in a request, pictures are told by their hash.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from server.domain import Picture
from server.providers.base import (
    Answer,
    Call,
    Delivery,
    Failure,
    FilePart,
    Provider,
    RemoteImage,
    UpstreamEdit,
)
from server.upstream.documents import json_body

ROOT = Path(__file__).parent / "golden"
PICTURES = ROOT / "pictures"
FILE_SETS = (
    {"edit.json", "request.json"},
    {"response.json", "result.json"},
    {"edit.json", "request.json", "response.json", "result.json"},
)


def cases() -> list[str]:
    """Return every case as "provider/case", sorted."""
    folders = (path for path in ROOT.glob("*/*") if path.is_dir())
    return sorted(path.relative_to(ROOT).as_posix() for path in folders)


def load(case: str, name: str) -> Any:
    """Return a file of a case, parsed."""
    return json.loads((ROOT / case / name).read_text("utf-8"))


def picture(name: str) -> Picture:
    """Return a picture of the shared folder; its type and size are those of its content."""
    data = (PICTURES / name).read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        kind = Image.MIME[image.format or ""]
        return Picture(kind, data, image.width, image.height)


def edit_of(case: str) -> UpstreamEdit:
    """Return the edit of edit.json, with its pictures read."""
    given = load(case, "edit.json")
    return UpstreamEdit(
        model=given["model"],
        prompt=given["prompt"],
        images=tuple(map(picture, given["images"])),
        mask=picture(given["mask"]) if "mask" in given else None,
        fields=given.get("fields", {}),
        image_fields=tuple(given.get("image_fields", ())),
        partial_images=given.get("partial_images", 0),
    )


def answer_of(case: str) -> Answer:
    """Return the answer of response.json, whose body is "json", "text" or "hex"."""
    given = load(case, "response.json")
    if "json" in given:
        body = json.dumps(_with_pictures(given["json"])).encode()
    else:
        body = bytes.fromhex(given["hex"]) if "hex" in given else given["text"].encode()
    return Answer(given["status"], given["headers"], body)


def request_of(call: Call) -> dict[str, Any]:
    """Return what request.json holds for a call."""
    if call.json is not None:
        document = json.loads(b"".join(json_body(call.json)))
        return {"path": call.path, "json": _without_pictures(document)}
    return {
        "path": call.path,
        "parts": [
            {
                "name": part.name,
                "filename": part.filename,
                "mime_type": part.mime_type,
                "sha256": hashlib.sha256(part.data).hexdigest(),
            }
            if isinstance(part, FilePart)
            else {"name": part.name, "value": part.value}
            for part in call.parts
        ],
    }


def outcome_of(provider: Provider, answer: Answer) -> dict[str, Any]:
    """Return what result.json holds for an answer: 2xx is read, all else explained."""
    good = 200 <= answer.status < 300
    outcome = provider.read(answer) if good else provider.explain(answer)
    if isinstance(outcome, Failure):
        return {"failure": {**asdict(outcome), "kind": outcome.kind.name}}
    return {"delivery": {**asdict(outcome), "picture": _told(outcome)}}


def write(case: str, name: str, content: dict[str, Any]) -> None:
    """Write a file of a case the way it is checked in."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (ROOT / case / name).write_text(f"{text}\n", "utf-8")


def draw_missing_pictures() -> None:
    """Draw the shared pictures that are not there: real files of less than 1 KB."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    ramp = Image.linear_gradient("L").resize((16, 12))
    photo = Image.merge("RGB", (ramp, ramp.rotate(180), Image.new("L", ramp.size, 90)))
    coverage = Image.new("L", ramp.size, 0)
    coverage.paste(255, (4, 3, 12, 9))
    native = Image.new("RGBA", ramp.size, (0, 0, 0, 255))
    native.paste((0, 0, 0, 0), (4, 3, 12, 9))
    drawings = {
        "photo.png": photo,
        "second.jpg": photo.rotate(180),
        "third.webp": photo.convert("L").convert("RGB"),
        "edited.png": Image.merge("RGB", photo.split()[::-1]),
        "mask.png": native,
        "mask-plane.png": coverage,
    }
    for name, drawing in drawings.items():
        if not (PICTURES / name).exists():
            drawing.save(PICTURES / name)


def _told(delivery: Delivery) -> dict[str, Any]:
    if isinstance(delivery.picture, RemoteImage):
        return {"url": delivery.picture.url}
    return {
        "sha256": hashlib.sha256(delivery.picture).hexdigest(),
        "bytes": len(delivery.picture),
    }


def _without_pictures(value: Any) -> Any:
    """Replace data URLs that are exactly as RFC 2397 wants them by what is in them."""
    if isinstance(value, dict):
        return {key: _without_pictures(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_pictures(inner) for inner in value]
    if not (isinstance(value, str) and value.startswith("data:")):
        return value
    head, encoded = value.split(",")
    data = base64.b64decode(encoded, validate=True)
    kind = head.removeprefix("data:").removesuffix(";base64")
    if value != f"data:{kind};base64,{base64.b64encode(data).decode()}":
        raise ValueError(f"not a plain data URL: {head}")
    return {"mime_type": kind, "sha256": hashlib.sha256(data).hexdigest()}


def _with_pictures(value: Any) -> Any:
    """Replace the two stand-ins for a picture by its text."""
    if isinstance(value, list):
        return [_with_pictures(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$base64": name}:
            return base64.b64encode((PICTURES / name).read_bytes()).decode()
        case {"$data_url": name}:
            shown = picture(name)
            return f"data:{shown.mime_type};base64,{base64.b64encode(shown.data).decode()}"
    return {key: _with_pictures(inner) for key, inner in value.items()}
