"""`imageedit edit --dry-run`: the price is asked for, and nothing else happens."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from sqlalchemy import select

from cli.__main__ import main
from imageedit.v1 import image_edit_pb2 as pb
from server.accounts.schema import edits
from tests.fake_servicer import FakeServicer, Fault, serving
from tests.front_running import Front, listening
from tests.paid_keys import paid_key
from tests.pictures import encoded, exif, gradient
from tests.running import Gateway


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def front(fake: FakeServicer) -> Iterator[Front]:
    with listening(fake) as front:
        yield front


def run(url: str, folder: Path, *arguments: str) -> Result:
    (folder / "photo.png").write_bytes(b"never sent")
    command = ["edit", str(folder / "photo.png"), "ein Bär", "--url", url, "--key", "sk-test"]
    return CliRunner().invoke(main, [*command, *arguments])


def test_it_prints_the_most_and_sends_no_picture(
    fake: FakeServicer, front: Front, tmp_path: Path
) -> None:
    fake.queue("EstimateCost", pb.EstimateCostResponse(model="a/b", max_cost_nanos=257_424_001))
    mask = tmp_path / "mask.png"
    mask.write_bytes(b"neither")
    more = ("--model", "a/b", "--mask", str(mask), "--size", "1024x1024", "--quality", "low")
    result = run(front.url, tmp_path, *more, "--dry-run")
    assert (result.exit_code, result.stdout) == (0, "at most $0.257424001\n")
    (call,) = fake.calls
    assert call.metadata["authorization"] == "Bearer sk-test"
    assert call.messages == [
        pb.EstimateCostRequest(
            model="a/b",
            prompt="ein Bär",
            size="1024x1024",
            quality=pb.QUALITY_LOW,
            image_count=1,
            masked=True,
        )
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.png", "photo.png"]


def test_it_tells_the_pictures_size_upright(
    fake: FakeServicer, front: Front, tmp_path: Path
) -> None:
    fake.queue("EstimateCost", pb.EstimateCostResponse(model="a/b", max_cost_nanos=1))
    photo = tmp_path / "turned.jpg"
    photo.write_bytes(encoded(gradient(64, 48), "JPEG", exif=b"Exif\0\0" + exif(6)))
    command = ["edit", str(photo), "x", "--url", front.url, "--key", "sk-test", "--dry-run"]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert fake.calls[0].messages[0].image_size == "48x64"


@pytest.mark.parametrize("model", ["openai/gpt-image-2", "qwen/qwen-image-edit"])
@pytest.mark.parametrize("masked", [False, True])
def test_what_it_says_is_what_an_edit_holds(
    gateway: Gateway, tmp_path: Path, model: str, masked: bool
) -> None:
    made, secret = paid_key(gateway.store)
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    photo.write_bytes(encoded(gradient(320, 256), "PNG"))
    plane = Image.new("L", (320, 256))
    plane.paste(255, (0, 0, 160, 256))
    mask.write_bytes(encoded(plane, "PNG"))
    command = ["edit", str(photo), "sepia", "--url", gateway.url, "--key", secret]
    command += ["--model", model, "--quality", "low", *(["--mask", str(mask)] if masked else [])]
    said = CliRunner().invoke(main, [*command, "--dry-run"])
    assert (said.exit_code, said.stdout[:9]) == (0, "at most $")
    output = str(tmp_path / "out.png")
    assert CliRunner().invoke(main, [*command, "-o", output]).exit_code == 0
    with gateway.store.read() as connection:
        query = select(edits.c.hold).where(edits.c.account_id == made.account_id)
        held = connection.scalar(query)
    assert Fraction(said.stdout[9:]) * 10**9 == held


def test_an_output_may_be_named_and_is_not_written(
    fake: FakeServicer, front: Front, tmp_path: Path
) -> None:
    fake.queue("EstimateCost", pb.EstimateCostResponse(model="a/b", max_cost_nanos=10**9))
    result = run(front.url, tmp_path, "-o", str(tmp_path / "out.png"), "--dry-run")
    assert (result.exit_code, result.stdout) == (0, "at most $1\n")
    assert not (tmp_path / "out.png").exists()


def test_it_ends_as_an_edit_would(fake: FakeServicer, front: Front, tmp_path: Path) -> None:
    fake.queue("EstimateCost", Fault(grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY"))
    assert run(front.url, tmp_path, "--dry-run").exit_code == 4


def test_an_edit_still_needs_its_output(front: Front, tmp_path: Path) -> None:
    result = run(front.url, tmp_path)
    assert result.exit_code == 2
    assert "--output" in result.output
