"""What vendors have in common when they fail: proxies' pages, and bodies that are no JSON."""

from __future__ import annotations

from sandbox.wire import Reply

_PAGE = """<html>
<head><title>{status} {text}</title></head>
<body><center><h1>{status} {text}</h1></center><hr><center>cloudflare</center></body>
</html>
"""


def anywhere(fault: str) -> Reply | None:
    """Return the answer of the things between us and a vendor, `None` for other faults."""
    match fault:
        case "html502":
            return _page(502, "Bad Gateway")
        case "html504":
            return _page(504, "Gateway Time-out")
        case "garbage":
            return Reply(200, b'{"created": 1778120000, "data": [{"b64_json": "iVBORw0KG\x00\xff')
        case _:
            return None


def _page(status: int, text: str) -> Reply:
    return Reply(status, _PAGE.format(status=status, text=text).encode(), "text/html")
