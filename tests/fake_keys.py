"""Keys of nobody, shaped like the vendors': none may ever reach a log."""

from __future__ import annotations

KEYS = (
    "sk-proj-CANARYcanary0123456789CANARYcanary0123456789",
    "sk-or-v1-" + "c0ffee" * 10 + "babe",
    "sk-" + "canary" * 8,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl",
)
