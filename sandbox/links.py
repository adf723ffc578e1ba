"""Faults of a result's address: what a hostile or broken upstream may name."""

from __future__ import annotations

from sandbox.siliconflow import SiliconFlow
from sandbox.wire import Reply, Request

METADATA_URL = "http://169.254.169.254/latest/meta-data/"
PRIVATE_URL = "https://10.0.0.1/result.png"
STRANGER_URL = "https://results.example.net/result.png"


def faulty(
    fault: str,
    amount: float,
    files: list[bytes],
    *,
    vendor: SiliconFlow,
    request: Request,
    seed: int,
) -> Reply:
    """Return SiliconFlow's answer whose result has the fault."""
    picture = files[0] if files else b""
    match fault:
        case "private_url":
            url = PRIVATE_URL
        case "wronghost_url":
            url = STRANGER_URL
        case "redirect_url":
            url = vendor.link(request, Reply(302, b"", headers={"location": METADATA_URL}))
        case "slow_url":
            slow = Reply(200, picture, "image/png", manner="drip_body", amount=amount)
            url = vendor.link(request, slow)
        case "huge_url":
            huge = Reply(200, picture, "image/png", manner="hugebody", amount=amount)
            url = vendor.link(request, huge)
        case _:
            url = vendor.link(request, Reply(404, b"no such result", "text/plain"))
    return vendor.linked([url], seed)
