"""The providers' keys: whether there is one, its shape, and, asked for, what its vendor says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from cli.checkup.finding import Finding, fail, ok, warn
from server.catalog import ProviderFacts
from server.settings import PROVIDER_VARIABLES, Settings

TIMEOUT = 10.0
LEAST_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Vendor:
    """How a vendor's keys begin, what they never begin with, and a question that costs nothing.

    Sources: OpenAI, "List models"; OpenRouter, "Get current API key"; SiliconFlow, "Get model
    list". All three want the key, and bill no such request.
    """

    prefix: str
    question: str
    others: tuple[str, ...] = ()


VENDORS = {
    "openai": Vendor("sk-", "/models", ("sk-or-",)),
    "openrouter": Vendor("sk-or-", "/key"),
    "siliconflow": Vendor("sk-", "/models", ("sk-or-", "sk-proj-")),
}


def check_providers(settings: Settings) -> Iterator[Finding]:
    """Look at what is set, without asking anybody."""
    if not settings.provider_keys:
        variables = ", ".join(f"{name}_API_KEY" for name in PROVIDER_VARIABLES.values())
        yield warn(
            "providers",
            "no provider has a key, so that `imageedit serve` simulates all of them",
            f"Set one or more of {variables} to edit for real.",
        )
    for name, key in settings.provider_keys.items():
        variable, vendor = f"{PROVIDER_VARIABLES[name]}_API_KEY", VENDORS[name]
        if (own := settings.base_urls.get(name)) is not None:
            yield ok(f"{name} key", f"set; for {_host(own)}, whose keys may look like anything")
        elif not key.startswith(vendor.prefix) or key.startswith(vendor.others):
            yield warn(
                f"{name} key",
                f"does not begin as this vendor's keys do ({vendor.prefix}…)",
                f"See that {variable} holds the key of {name} and of nobody else.",
            )
        elif len(key) < LEAST_LENGTH:
            text = "is too short to be whole"
            yield warn(f"{name} key", text, f"Copy it into {variable} anew.")
        else:
            yield ok(f"{name} key", "set, and shaped like this vendor's")


def ask_providers(settings: Settings, facts: dict[str, ProviderFacts]) -> Iterator[Finding]:
    """Ask each configured provider whether it knows its key."""
    for name, key in settings.provider_keys.items():
        base = settings.base_urls.get(name, facts[name].base_url)
        yield _ask(name, f"{base}{VENDORS[name].question}", key)


def _ask(name: str, url: str, key: str) -> Finding:
    subject, host = f"{name} online", _host(url)
    try:
        with requests.get(
            url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT,
            allow_redirects=False,
            stream=True,
        ) as answer:
            status = answer.status_code
    except requests.RequestException as error:
        return fail(
            subject,
            f"{host} can't be reached ({type(error).__name__})",
            "See that this machine may connect to it: name resolution, firewall, proxy.",
        )
    if status == 200:
        return ok(subject, f"{host} takes the key")
    if status in {401, 403}:
        variable = f"{PROVIDER_VARIABLES[name]}_API_KEY"
        return fail(subject, f"{host} refuses the key ({status})", f"Put a live one in {variable}.")
    return warn(subject, f"{host} answers {status}", "Look at the vendor's status page; try later.")


def _host(url: str) -> str:
    return urlsplit(url).hostname or "its address"
