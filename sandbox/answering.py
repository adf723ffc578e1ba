"""An edit from request to reply: parse, note, check, wait, fail or paint, deliver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PIL import Image, ImageFilter

from sandbox import failures, faults, links, painting, pictures
from sandbox.calls import Call, CallLog
from sandbox.faults import Directives, Stage
from sandbox.sending import HungUp
from sandbox.siliconflow import SiliconFlow
from sandbox.wire import Order, Refusal, Reply, Request, Vendor

NO_PICTURE = b"This is not a picture. " * 40


def answer(
    vendor: Vendor,
    request: Request,
    calls: CallLog,
    wait: Callable[[float], None],
    share: float,
) -> tuple[Call, Reply]:
    """Return the record of the request and what to answer.

    `wait` is called with the seconds a directive asks for, and raises `HungUp` if the
    client leaves. Pictures have `share` of their sides.
    """
    try:
        submission = vendor.parse(request)
    except Refusal as refusal:
        call = Call.of(request)
        calls.add(call)
        return call, refusal.reply
    call = Call.of(request, submission)
    calls.add(call)
    try:
        prompt, directives = faults.read(submission.prompt, vendor.name, lambda: calls.before(call))
        order = replace(vendor.check(submission, prompt), share=share)
    except Refusal as refusal:
        return call, refusal.reply
    except faults.DirectiveError as error:
        return call, vendor.refuse(str(error))
    call.faults = directives.numbers
    try:
        wait(directives.get("delay"))
    except HungUp:
        call.hung_up = True
        raise
    return call, _manner(_reply(vendor, request, order, directives), directives)


def _reply(vendor: Vendor, request: Request, order: Order, directives: Directives) -> Reply:
    """Return the vendor's answer with every fault but those of the socket."""
    order = replace(order, gap=directives.get("gap"))
    if fault := directives.at(Stage.ANSWER):
        reply = failures.anywhere(fault) or vendor.fail(fault)
        if reply is None or order.partial_images is None or "late" not in directives:
            return reply or vendor.refuse(f"the sandbox has no fault '{fault}' for {vendor.name}")
        order = replace(order, error=reply)
    if directives.at(Stage.SOCKET) in {"silent", "reset", "close", "drip_headers"}:
        return Reply(200, b"")  # nothing of it will be sent
    if "jpeg" in directives:
        order = replace(order, output_format="JPEG", compression=90)
    files = _files(order, directives)
    if fault := directives.at(Stage.LINK):
        if not isinstance(vendor, SiliconFlow):
            return vendor.refuse(f"the sandbox has no fault '{fault}' for {vendor.name}")
        return links.faulty(
            fault,
            directives.get(fault),
            files,
            vendor=vendor,
            request=request,
            seed=order.seed,
        )
    return vendor.deliver(request, order, files)


def _files(order: Order, directives: Directives) -> list[bytes]:
    """Return the result's files; in a stream the partial pictures come before the final one."""
    if "empty" in directives:
        return []
    if "badpicture" in directives:
        return [NO_PICTURE]
    if "echo" in directives:
        return [order.source]
    picture = painting.paint(order, directives)
    final = pictures.encoded(picture, order.output_format, order.compression)
    if order.partial_images is None:
        return [final] * order.count
    steps = range(order.partial_images, 0, -1)
    return [*(_partial(picture, step, order) for step in steps), final]


def _partial(picture: Image.Image, step: int, order: Order) -> bytes:
    """Return an unfinished picture: the more steps to go, the less can be seen."""
    blurred = picture.filter(ImageFilter.BoxBlur(12 * step))
    return pictures.encoded(blurred, order.output_format, order.compression)


def _manner(reply: Reply, directives: Directives) -> Reply:
    """Return the reply with the way in which it is to be sent."""
    manner = directives.at(Stage.SOCKET)
    return replace(reply, manner=manner, amount=directives.get(manner)) if manner else reply
