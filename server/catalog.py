"""The catalogue: which models there are, and how each is reached. Data, never code.

`catalog_file` reads it; `translation` puts an edit into the words of a route.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from server.domain import EditError, MaskMethod, Situation
from server.prices import Prices, TokenBounds
from server.sizes import SizeRule

IMAGE_EDIT = "image_edit"


@dataclass(frozen=True, slots=True)
class Parameter:
    """How a route's upstream takes one parameter.

    `name` is the upstream's own; `values` maps what callers may say to what is sent, empty for
    anything; `rule` is for sizes that are bounded rather than listed.
    """

    name: str
    values: Mapping[str, str]
    rule: SizeRule | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One way to a model: a provider, the model's name there, and what it takes.

    `masked`: it serves only edits with a mask (True), only those without (False), or both (None).
    """

    provider: str
    model: str
    mask_method: MaskMethod
    max_images: int
    image_fields: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    masked: bool | None = None

    def takes(self, parameter: str, value: str) -> bool:
        """Tell whether the upstream can be asked for `value` of one of our parameters."""
        known = self.parameters.get(parameter)
        return known is not None and (not known.values or value in known.values)

    @property
    def name(self) -> str:
        """How records, logs and metrics call it, such as "openai:gpt-image-2"."""
        return f"{self.provider}:{self.model}"


@dataclass(frozen=True, slots=True)
class Model:
    """One row of the catalogue. `pricing` is `prices` as decimal strings in US dollars.

    `bounds` are there where `prices` are by token.
    """

    alias: str
    name: str
    description: str
    created: date
    expiration: date | None
    features: tuple[str, ...]
    prices: Prices
    pricing: Mapping[str, str]
    bounds: TokenBounds | None
    routes: tuple[Route, ...]

    @property
    def brand(self) -> str:
        """The alias's first part, such as "openai"."""
        return self.alias.partition("/")[0]


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """A provider's own base URL, and the hosts from which its results may be fetched.

    `failures_are_free`: its contract says that an answer without a picture is never billed;
    `cancel_stops_billing`: nor is a call whose connection we close before the answer.
    """

    base_url: str
    download_hosts: tuple[str, ...]
    failures_are_free: bool = False
    cancel_stops_billing: bool = False


class Catalog:
    """The models that can be routed with the providers in `configured`, in the file's order."""

    def __init__(
        self,
        models: Collection[Model],
        providers: Mapping[str, ProviderFacts],
        configured: Collection[str],
    ) -> None:
        self.providers = providers
        self._all = {model.alias: model for model in models}
        self._routes = {
            model.alias: tuple(route for route in model.routes if route.provider in configured)
            for model in models
        }

    @property
    def aliases(self) -> tuple[str, ...]:
        """The aliases of all models, routable or not."""
        return tuple(self._all)

    @property
    def models(self) -> list[Model]:
        """The models that can be routed now."""
        return [model for model in self._all.values() if self._routes[model.alias]]

    def routes(self, model: Model) -> tuple[Route, ...]:
        """Return the configured routes of `model`, in the order to try."""
        return self._routes[model.alias]

    def models_that_take(self, parameter: str, value: str) -> list[Model]:
        """Return the models that can be routed now to an upstream that takes such a parameter."""
        return [
            model
            for model in self.models
            if any(route.takes(parameter, value) for route in self._routes[model.alias])
        ]

    def find(self, alias: str) -> Model:
        """Return a model that can be routed now; raises `EditError` (MODEL_MISMATCH)."""
        model = self._all.get(alias)
        if model is None or not self._routes[alias]:
            problem = "unknown" if model is None else "not configured on this gateway"
            known = ", ".join(model.alias for model in self.models) or "none"
            raise EditError(
                Situation.MODEL_MISMATCH,
                f'The model "{alias[:100]}" is {problem}; models here: {known}.',
                field="model",
            )
        return model

    def find_editor(self, alias: str) -> Model:
        """Return a model that can edit images now; raises `EditError` (MODEL_MISMATCH)."""
        model = self.find(alias)
        if IMAGE_EDIT not in model.features:
            raise EditError(
                Situation.MODEL_MISMATCH,
                f'The model "{alias}" cannot edit images; it lacks the feature "{IMAGE_EDIT}".',
                field="model",
            )
        return model
