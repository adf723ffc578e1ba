"""Whether a gateway answers with the picture that the upstream gave it."""

from __future__ import annotations

import base64
import http.client
import json

from bench.peers.material import Request

PATIENCE = 60.0


def difference(port: int, headers: dict[str, str], request: Request) -> str:
    """Make an edit and look into its answer; return what is wrong with it, or nothing."""
    head, _, body = request.message(headers).partition(b"\r\n\r\n")
    lines = (line.partition(": ") for line in head.decode().split("\r\n")[1:])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        fields = {name: value for name, _, value in lines}
        connection.request("POST", "/v1/images/edits", body, fields)
        text = connection.getresponse().read()
        picture = base64.b64decode(json.loads(text)["data"][0]["b64_json"])
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {error}"
    except (ValueError, LookupError, TypeError):
        return f"no picture: {text[:200]!r}"
    finally:
        connection.close()
    return "" if picture == request.picture else "another picture than the upstream's"
