"""The work of one edit once it is paid for: routes in their order, then the finished picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from server import prompts
from server.accounts.bill import Bill
from server.accounts.ledger import Ending
from server.bench import Bench
from server.catalog import Model, Route
from server.domain import EditError, EditRequest, MaskFidelity, Picture, Situation
from server.imaging.coverage import CoveragePlane
from server.imaging.finish import Finished, finish
from server.imaging.inspect import BadPicture
from server.providers.base import UpstreamEdit
from server.sizes import Size, parse_size
from server.tracing import spans
from server.translation import Translation, translate
from server.upstream.attempts import Attempts
from server.upstream.caller import CIRCUIT_OPEN, AttemptRecord, Caller
from server.upstream.delivery import Delivered
from server.upstream.fates import AttemptFailed


@dataclass(frozen=True, slots=True)
class Job:
    """An edit that passed every check: what is asked, of which routes, on which pictures."""

    request: EditRequest
    model: Model
    routes: tuple[Route, ...]
    pictures: tuple[Picture, ...]
    plane: CoveragePlane | None
    max_pixels: int

    @property
    def canvas(self) -> Size | None:
        """The first picture's size, where its own pixels will be put back."""
        if self.plane is None or self.request.mask_fidelity is MaskFidelity.HINT:
            return None
        return self.first_size

    @property
    def first_size(self) -> Size:
        """The first picture's size."""
        return self.pictures[0].width, self.pictures[0].height

    def cost(self, delivered: Delivered) -> int:
        """Return the price of what was delivered, in nano-dollars."""
        size = parse_size(self.request.size) if self.request.size else None
        quality = delivered.quality or self.request.quality
        return self.model.prices.cost(delivered.tokens, quality, size)


@dataclass(frozen=True, slots=True)
class Done:
    """A job's success."""

    route: Route
    translation: Translation
    delivered: Delivered
    finished: Finished


class Work:
    """Carries one job out. `clock` returns Unix milliseconds; `bench` bounds work on pixels."""

    def __init__(
        self,
        job: Job,
        attempts: Attempts,
        bill: Bill,
        caller: Caller,
        *,
        clock: Callable[[], int],
        bench: Bench,
    ) -> None:
        self._bench = bench
        self._job = job
        self._attempts = attempts
        self._bill = bill
        self._caller = caller
        self._clock = clock
        self._upstream_ms = 0
        self._tried = 0
        self._partials = 0
        self._route: Route | None = None
        self._translation: Translation | None = None
        self.delivered: Delivered | None = None

    def run(self) -> Done:
        """Return the finished edit; raises the most hopeful `EditError` of its routes."""
        try:
            self.delivered = self._attempts.fetch(self._job.routes, self, self._caller)
        except AttemptFailed as failure:
            gone = failure.fate.name == "model_gone"
            raise (self._retired() if gone else failure.error) from failure
        assert self._route is not None  # noqa: S101 -- the one that delivered
        assert self._translation is not None  # noqa: S101 -- as above
        return Done(self._route, self._translation, self.delivered, self._finish(self.delivered))

    def edit_for(self, route: Route) -> UpstreamEdit:
        """Return the edit in the words of `route`, which is asked next."""
        job = self._job
        self._route = route
        self._translation = translate(job.request, route, canvas=job.canvas, first=job.first_size)
        edit = prompts.upstream_edit(
            job.request.prompt, job.pictures, job.plane, route, self._translation.fields
        )
        return replace(edit, partial_images=self._translation.partial_images)

    def submit(self) -> None:
        """Commit that the upstream may bill from now on; raises `EditError`."""
        self._bill.submit()

    def cleared(self) -> None:
        """Note that the attempt which ended surely cost nothing."""
        self._bill.cleared()

    def partial(self, file: bytes) -> None:
        """Pass a partial picture on as the finished one will be: its type and size, and its mask.

        One that is no picture is left out, and so are those above the number that was asked for.
        """
        if self._partials == self._job.request.partial_images or self._caller.left():
            return
        try:
            with self._bench.place(len(file) + self._job.request.picture_bytes):
                finished = self._finished(file)
        except BadPicture:
            return
        self._caller.partial(self._partials, finished.picture, transparent=finished.transparent)
        self._partials += 1

    def attempted(self, record: AttemptRecord) -> None:
        """Count an attempt, and tell the caller's log."""
        if record.fate != CIRCUIT_OPEN:
            self._tried += 1
            self._upstream_ms += round(record.seconds * 1000)
        self._caller.attempted(record)

    def ending(self, outcome: str, error: EditError | None = None) -> Ending:
        """Return what the usage record says of this work, which ends now."""
        masked = self._job.plane is not None and self._route is not None
        ending = Ending(
            outcome=outcome,
            message=error.message if error else "",
            field=error.field if error else None,
            route=self._route.name if self._route else "",
            attempts=self._tried,
            upstream_ms=self._upstream_ms,
            mask_method=self._route.mask_method if masked and self._route else "",
        )
        return replace(ending, tokens=self.delivered.tokens) if self.delivered else ending

    def _retired(self) -> EditError:
        """Return what a model's absence at its vendor means: expected, or the operator's fault."""
        model = self._job.model
        today = datetime.fromtimestamp(self._clock() // 1000, UTC).date()
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

    @spans.traced("finish")
    def _finish(self, delivered: Delivered) -> Finished:
        try:
            with self._bench.place(len(delivered.file) + self._job.request.picture_bytes):
                return self._finished(delivered.file)
        except BadPicture as error:
            raise EditError(
                Situation.UPSTREAM_FAILED,
                "The upstream answered with something that is no usable picture; nothing was"
                " charged.",
            ) from error

    def _finished(self, file: bytes) -> Finished:
        request = self._job.request
        return finish(
            file,
            output_format=request.output_format,
            compression=request.output_compression,
            size=parse_size(request.size) if request.size else None,
            original=self._job.pictures[0],
            plane=self._job.plane,
            exact=request.mask_fidelity is MaskFidelity.EXACT,
            opaque=request.background == "opaque",
            compressed=self._translation is not None and self._translation.compressed,
            max_pixels=self._job.max_pixels,
        )
