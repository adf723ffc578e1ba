"""Server-sent events of a picture, as OpenAI and OpenRouter send them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import replace

from sandbox.wire import Order, Reply


def stream(
    prefix: str,
    order: Order,
    pictures: list[bytes],
    facts: Mapping[str, object],
    usage: Mapping[str, object],
) -> Reply:
    """Return the pictures as `text/event-stream`: unfinished ones, and the final one last.

    Where the order has an `error`, that takes the final one's place.
    """
    frames = []
    for place, file in enumerate(pictures):
        final = place == len(pictures) - 1
        event: dict[str, object] = {
            "type": f"{prefix}.{'completed' if final else 'partial_image'}",
            "b64_json": base64.b64encode(file).decode(),
            "created_at": int(time.time()),
            **facts,
            **({"usage": usage} if final else {"partial_image_index": place}),
        }
        if final and order.error is not None:
            event = {"type": "error", **json.loads(order.error.body)}
        frames.append(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n")
    return Reply(200, "".join(frames).encode(), "text/event-stream", gap=order.gap)


def commented(reply: Reply, comment: str) -> Reply:
    """Return a stream with a comment line before each event, and `[DONE]` as its end."""
    frames = [f": {comment}\n\n{frame}\n\n" for frame in reply.body.decode().split("\n\n") if frame]
    return replace(reply, body=("".join(frames) + "data: [DONE]\n\n").encode())
