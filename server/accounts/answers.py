"""A finished edit as what is stored of it, facts beside the picture's file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from server.domain import EditResult, MaskMethod, MaskReport, Picture, Tokens


def facts(result: EditResult) -> dict[str, Any]:
    """Return all of `result` but the picture's bytes, as JSON knows it."""
    document = asdict(result)
    document["picture"].pop("file")
    document.pop("replayed")
    return document


def restored(document: Mapping[str, Any], data: bytes) -> EditResult:
    """Return the edit that `facts` was made of, marked as replayed.

    What another version of this program stored beside it is passed over.
    """
    report = document["mask_report"]
    known = {field.name for field in fields(EditResult)}
    values = {name: value for name, value in document.items() if name in known}
    values["picture"] = Picture(file=data, **document["picture"])
    values["tokens"] = Tokens(**document["tokens"])
    values["ignored_parameters"] = tuple(document["ignored_parameters"])
    values["mask_report"] = report and MaskReport(
        MaskMethod(report["method"]), report["unaligned"], report["drift"]
    )
    return EditResult(**values, replayed=True)
