"""Server-sent events of a picture, as OpenAI and OpenRouter send them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping

from sandbox.wire import Reply


def stream(
    prefix: str,
    partial_images: int,
    pictures: list[bytes],
    facts: Mapping[str, object],
    usage: Mapping[str, object],
    *,
    comment: str = "",
) -> Reply:
    """Return the partial pictures and the completed one as `text/event-stream`.

    `pictures` holds the partial ones first, then the final one. `comment` is a comment line that
    goes before each event.
    """
    frames = []
    for place, file in enumerate(pictures):
        final = place >= partial_images
        event: dict[str, object] = {
            "type": f"{prefix}.{'completed' if final else 'partial_image'}",
            "b64_json": base64.b64encode(file).decode(),
            "created_at": int(time.time()),
            **facts,
            **({"usage": usage} if final else {"partial_image_index": place}),
        }
        before = f": {comment}\n\n" if comment else ""
        frames.append(f"{before}event: {event['type']}\ndata: {json.dumps(event)}\n\n")
    return Reply(200, ("".join(frames) + "data: [DONE]\n\n").encode(), "text/event-stream")
