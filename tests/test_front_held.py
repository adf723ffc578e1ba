"""What the front holds of an edit while it is under way: not its pictures."""

from __future__ import annotations

from typing import Any, cast

from gateway_http.channel import Service
from gateway_http.form import Form
from gateway_http.spool import Upload
from gateway_http.upload import Caller
from imageedit.v1 import image_edit_pb2 as pb
from tests.front_running import edited

PICTURE = bytes(range(256)) * 1_000


class Held:
    """A service, and the call that it holds: notes what was sent, and what is left meanwhile."""

    def __init__(self, form: Form, wanted: pb.EditImageRequest) -> None:
        self.images = self.EditImage = self
        self.sent = b""
        self.left = b""
        self._form, self._wanted = form, wanted

    def future(self, request: pb.EditImageRequest, **_: Any) -> Held:
        self.sent = request.SerializeToString()
        return self

    def result(self) -> pb.EditImageResponse:
        uploads = [*self._form.images, cast("Upload", self._form.mask)]
        self.left = self._wanted.SerializeToString() + b"".join(one.data() for one in uploads)
        return edited()

    def cancel(self) -> bool:
        return False

    def initial_metadata(self) -> tuple[()]:
        return ()

    trailing_metadata = initial_metadata


def test_a_held_edit_leaves_no_copy_of_its_pictures() -> None:
    with Form() as form:
        form.images, form.mask = [Upload(), Upload()], Upload()
        for upload in (*form.images, form.mask):
            upload.write(PICTURE)
        wanted = pb.EditImageRequest(model="a/b", prompt="p")
        held = Held(form, wanted)
        Caller(cast("Service", held), (), 1.0).edit(wanted, form)
    sent = pb.EditImageRequest.FromString(held.sent)
    assert [image.data for image in (*sent.images, sent.mask)] == [PICTURE] * 3
    assert (sent.model, sent.prompt) == ("a/b", "p")
    assert held.left == pb.EditImageRequest(model="a/b", prompt="p").SerializeToString()
