"""What the events of a streamed picture are; OpenAI and OpenRouter name them alike.

Sources: OpenAI's `ImageEditPartialImageEvent` and `ImageEditCompletedEvent`, and OpenRouter's image
generation guide: `image_edit.…` there, `image_generation.…` here.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.providers.base64_pictures import decoded
from server.providers.json_reading import document, table, text


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: its name, "" where it has none, and its data."""

    name: str
    data: bytes


def is_answer(event: Event) -> bool:
    """Tell whether `event` is what the stream was opened for: the whole picture, or an error."""
    if event.name:
        return event.name == "error" or event.name.endswith(".completed")
    body = table(document(event.data))
    kind = text(body.get("type"))
    return kind == "error" or kind.endswith(".completed") or bool(body.get("error"))


def partial_picture(event: Event) -> bytes | None:
    """Return the file of an unfinished picture; `None` for any other event."""
    body = table(document(event.data))
    kind = event.name or text(body.get("type"))
    return decoded(body.get("b64_json")) if kind.endswith(".partial_image") else None
