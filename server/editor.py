"""The use case: one edit from request to result, read top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from server import checks, prompts
from server.admission import Admission
from server.catalog import Catalog, Model, Route
from server.domain import (
    EditError,
    EditRequest,
    EditResult,
    MaskFidelity,
    MaskReport,
    Picture,
    Situation,
)
from server.imaging.finish import Finished, finish
from server.imaging.inspect import BadPicture
from server.imaging.masks import CoveragePlane
from server.sizes import parse_size
from server.translation import Translation, translate
from server.upstream.attempts import AttemptFailed, Attempts, Caller, Delivered


@dataclass(frozen=True, slots=True)
class _Material:
    """What an edit works on, checked: the pictures, and where to edit."""

    pictures: tuple[Picture, ...]
    plane: CoveragePlane | None


class Editor:
    """Edits pictures. `clock` returns Unix seconds; `max_pixels` bounds every picture."""

    def __init__(
        self,
        catalog: Catalog,
        attempts: Attempts,
        admission: Admission,
        *,
        clock: Callable[[], float],
        max_pixels: int,
    ) -> None:
        self._catalog = catalog
        self._attempts = attempts
        self._admission = admission
        self._clock = clock
        self._max_pixels = max_pixels

    def edit(self, request: EditRequest, caller: Caller) -> EditResult:
        """Return the edited picture; raises `EditError`."""
        checks.check_parameters(request)
        model = self._catalog.find_editor(request.model)
        routes = checks.routes_that_fit(request, self._catalog.routes(model))
        with self._admission.place():
            material = _Material(*checks.read_pictures(request, self._max_pixels))
            caller.accepted(model.alias)
            route, translation, delivered = self._deliver(request, model, routes, material, caller)
            finished = self._finish(request, material, delivered)
        ignored = translation.ignored if finished.size_kept else translation.ignored | {"size"}
        asked = "auto" if "quality" in ignored else request.quality or "auto"
        return EditResult(
            created=self._clock(),
            model=model.alias,
            picture=finished.picture,
            transparent=finished.transparent,
            quality=delivered.quality or asked,
            tokens=delivered.tokens,
            cost_nanos=model.prices.cost(delivered.tokens),
            ignored_parameters=tuple(sorted(ignored)),
            mask_report=_report(route, finished),
        )

    def _deliver(
        self,
        request: EditRequest,
        model: Model,
        routes: tuple[Route, ...],
        material: _Material,
        caller: Caller,
    ) -> tuple[Route, Translation, Delivered]:
        """Try the routes in order; raises the most hopeful of their errors."""
        errors: list[EditError] = []
        for route in routes:
            pasting = material.plane is not None and request.mask_fidelity is MaskFidelity.EXACT
            translation = translate(request, route, lossless=pasting)
            edit = prompts.upstream_edit(
                request.prompt, material.pictures, material.plane, route, translation.fields
            )
            try:
                return route, translation, self._attempts.fetch(route, edit, caller)
            except AttemptFailed as failure:
                errors.append(self._retired(model) if failure.gone else failure.error)
                if failure.final:
                    raise errors[-1] from failure
        raise max(errors, key=lambda error: error.retry_after is not None)

    def _retired(self, model: Model) -> EditError:
        """Return what a model's absence at its vendor means: expected, or the operator's fault."""
        today = datetime.fromtimestamp(self._clock(), UTC).date()
        if model.expiration is not None and model.expiration <= today:
            return EditError(
                Situation.MODEL_MISMATCH,
                f'The model "{model.alias}" was shut down by its vendor on {model.expiration}.'
                " Choose another; GET /v1/models lists them.",
                field="model",
            )
        return EditError(
            Situation.UPSTREAM_FAILED,
            f'The upstream does not offer the model "{model.alias}"; nothing was charged.',
            field="model",
        )

    def _finish(self, request: EditRequest, material: _Material, delivered: Delivered) -> Finished:
        try:
            return finish(
                delivered.file,
                output_format=request.output_format,
                compression=request.output_compression,
                size=parse_size(request.size) if request.size else None,
                original=material.pictures[0],
                plane=material.plane,
                exact=request.mask_fidelity is MaskFidelity.EXACT,
            )
        except BadPicture as error:
            raise EditError(
                Situation.UPSTREAM_FAILED,
                "The upstream answered with something that is no usable picture; nothing was"
                " charged.",
            ) from error


def _report(route: Route, finished: Finished) -> MaskReport | None:
    if finished.drift is None:
        return None
    return MaskReport(route.mask_method, finished.unaligned, finished.drift)
