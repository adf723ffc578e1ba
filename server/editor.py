"""The use case: one edit from request to result, read top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from server import checks
from server.accounts.bill import Bill
from server.accounts.desk import Desk, Ticket
from server.accounts.fingerprint import fingerprint
from server.accounts.idempotency import ClaimTaken
from server.accounts.ledger import Order
from server.admission import Admission
from server.bench import Bench
from server.catalog import Catalog, Model, Route
from server.ceiling import ceiling
from server.domain import EditError, EditRequest, EditResult, MaskReport, Situation
from server.sizes import Size
from server.tracing import spans
from server.upstream.attempts import Attempts, Caller
from server.work import Done, Job, Work


class Editor:
    """Edits pictures. `clock` returns Unix milliseconds; `max_pixels` bounds every picture."""

    def __init__(
        self,
        catalog: Catalog,
        attempts: Attempts,
        admission: Admission,
        desk: Desk,
        *,
        clock: Callable[[], int],
        max_pixels: int,
    ) -> None:
        self._catalog = catalog
        self._attempts = attempts
        self._admission = admission
        self._desk = desk
        self._clock = clock
        self._max_pixels = max_pixels
        self._bench = Bench()

    def edit(self, request: EditRequest, ticket: Ticket, caller: Caller) -> EditResult:
        """Return the edited picture, paid once however often it is asked; raises `EditError`."""
        checks.check_parameters(request, self._max_pixels)
        model = self._catalog.find_editor(request.model)
        with self._desk.noting(ticket, lambda: fingerprint(request)):
            self._desk.admit(ticket, request)
        routes = checks.routes_that_fit(request, model, self._catalog)
        asked, counted = fingerprint(request), False
        while True:
            with ExitStack() as stack:
                with self._desk.noting(ticket, lambda: asked):
                    stack.enter_context(self._admission.place(ticket.key.id))
                replay = self._desk.replay(ticket, asked, caller)
                if replay is not None:
                    return replay
                try:
                    with self._desk.arrivals.arriving(
                        (ticket.key.account_id, ticket.content(asked))
                    ):
                        if not counted:
                            self._desk.count(ticket)
                            counted = True
                        job = self._job(request, model, routes)
                        bill = self._hold(job, ticket, asked)
                except ClaimTaken:
                    continue  # by the original, which came a moment before: now there is a replay
                if not ticket.detached:
                    attending = self._desk.arrivals.attending(ticket.request_id, caller.left)
                    stack.enter_context(attending)
                return self._carry(job, bill, ticket, caller)

    @spans.traced("checks")
    def _job(self, request: EditRequest, model: Model, routes: tuple[Route, ...]) -> Job:
        with self._bench.place(request.picture_bytes):
            pictures, plane = checks.read_pictures(request, self._max_pixels)
        return Job(request, model, routes, pictures, plane, self._max_pixels)

    def estimate(self, request: EditRequest, picture_size: str | None) -> tuple[str, int]:
        """Return the model's alias and the most that `request` can cost, in nano-dollars.

        `picture_size` is the first picture's "WIDTHxHEIGHT", as far as it is known.
        """
        checks.check_size(request, self._max_pixels)
        first = None
        if picture_size is not None:
            first = checks.picture_size(picture_size, self._max_pixels)
        model = self._catalog.find_editor(request.model)
        routes = checks.routes_that_fit(request, model, self._catalog)
        return model.alias, _ceiling(request, model, routes, first)

    @spans.traced("hold")
    def _hold(self, job: Job, ticket: Ticket, asked: str) -> Bill:
        order = Order(
            edit_id=ticket.request_id,
            account_id=ticket.key.account_id,
            key_id=ticket.key.id,
            user=job.request.user,
            model=job.model.alias,
            amount=_ceiling(job.request, job.model, job.routes, job.first_size),
            fingerprint=ticket.content(asked),
            claims=ticket.retry_count,
        )
        return self._desk.hold(ticket, order, asked)

    def _carry(self, job: Job, bill: Bill, ticket: Ticket, caller: Caller) -> EditResult:
        """Do the work; whatever happens, the hold is settled, given back or booked as a loss."""
        work = Work(job, self._attempts, bill, caller, clock=self._clock, bench=self._bench)
        try:
            caller.accepted(job.model.alias)
            done = work.run()
            cost = job.cost(done.delivered)
            result = self._result(job, done, bill.charge(cost), ticket)
            charged = self._desk.settle(ticket, bill, result, cost, work.ending("delivered"))
            return replace(result, cost_nanos=charged)
        except BaseException as error:
            known = error if isinstance(error, EditError) else None
            outcome = known.situation if known else Situation.BUG
            paid = job.cost(work.delivered) if work.delivered else None
            bill.fail(work.ending(outcome.value, known), loss=paid)
            raise

    def _result(self, job: Job, done: Done, charge: int, ticket: Ticket) -> EditResult:
        finished, delivered = done.finished, done.delivered
        ignored = done.translation.ignored | (set() if finished.size_kept else {"size"})
        asked_ground = job.request.background
        if asked_ground == ("opaque" if finished.transparent else "transparent"):
            ignored |= {"background"}
        asked = "auto" if "quality" in ignored else job.request.quality or "auto"
        report = None
        if finished.drift is not None:
            report = MaskReport(done.route.mask_method, finished.unaligned, finished.drift)
        return EditResult(
            id=ticket.request_id,
            created=self._clock(),
            model=job.model.alias,
            picture=finished.picture,
            transparent=finished.transparent,
            quality=delivered.quality or asked,
            tokens=delivered.tokens,
            cost_nanos=charge,
            ignored_parameters=tuple(sorted(ignored)),
            mask_report=report,
        )


def _ceiling(
    request: EditRequest, model: Model, routes: tuple[Route, ...], canvas: Size | None
) -> int:
    """Return the most that an edit can cost: that of its dearest route."""
    return max(
        ceiling(
            model,
            route,
            prompt_bytes=len(request.prompt.encode()),
            image_count=len(request.images),
            masked=request.mask is not None,
            size=request.size,
            quality=request.quality,
            canvas=canvas,
        )
        for route in routes
    )
