"""The vendors by the names that the catalogue uses for them."""

from __future__ import annotations

from server.providers import openai, openrouter, siliconflow
from server.providers.base import Provider

PROVIDERS: dict[str, Provider] = {
    "openai": openai,
    "openrouter": openrouter,
    "siliconflow": siliconflow,
}
