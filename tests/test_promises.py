"""What the README, the contract's tables and both programs promise each other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from gateway_http import errors as front
from gateway_http.channel import MEBIBYTE
from gateway_http.render import POLL_AFTER
from gateway_http.upload import CHUNK
from imageedit.v1 import error_reason_pb2
from imageedit.v1 import image_edit_pb2 as pb
from sandbox import samples
from sandbox.scenes import landscape
from server import uploads
from server.accounts.operations import State
from server.accounts.results import KEYED_MS, UNKEYED_MS
from server.application import CALL_MARGIN
from server.callers import CHUNK_BYTES
from server.catalog_file import BUILT_IN, load
from server.domain import Situation
from server.grpc_server import MIN_PING_MS
from server.patience import Patience
from server.servicer import PROGRESS_SECONDS
from server.settings import Settings
from server.status import CODES, reason_name
from tests import whole
from tests.programs import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
REASONS = [
    name.removeprefix("ERROR_REASON_")
    for name, number in error_reason_pb2.ErrorReason.items()
    if number
]
PROGRAMS = [
    path for name in ("server", "gateway_http", "cli") for path in (ROOT / name).rglob("*.py")
]


def test_every_reason_is_given_by_the_service_and_known_to_the_front() -> None:
    assert set(CODES) == set(Situation)
    assert {reason_name(situation) for situation in Situation} == set(REASONS)
    assert set(REASONS) <= set(front.REASONS)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_sample_and_a_row_in_the_readme(reason: str) -> None:
    proto = (ROOT / "proto/imageedit/v1/error_reason.proto").read_text(encoding="utf-8")
    assert f'"reason": "{reason}", "domain": "imageedit.v1"' in proto
    assert f"`{reason.lower()}`" in README


def test_a_stream_is_never_silent_for_longer_than_is_told() -> None:
    assert f"comes every {PROGRESS_SECONDS:g} seconds" in README
    assert PROGRESS_SECONDS <= 15


def test_jobs_are_kept_and_looked_at_as_is_told() -> None:
    section = README.partition("## Jobs")[2].partition("\n## ")[0]
    assert f"kept for {UNKEYED_MS // 60_000} minutes" in section
    assert f"for {KEYED_MS // 3_600_000} hours" in section
    assert f'"poll_after": {POLL_AFTER}' in section
    for state in State:
        assert f"`{state.value}`" in section
    for method in pb.DESCRIPTOR.services_by_name["ImageEdit"].methods_by_name:
        assert "Operation" not in method or f"`{method}`" in section


def test_both_sides_agree_on_the_chunk() -> None:
    assert CHUNK == CHUNK_BYTES == uploads.MAX_CHUNK_BYTES == MEBIBYTE


def test_the_contract_tells_how_long_the_service_waits() -> None:
    proto = (ROOT / "proto/imageedit/v1/image_edit.proto").read_text(encoding="utf-8")
    told = re.sub(r"\s*//\s*", " ", proto)
    patience, settings = Patience(), Settings()
    assert f"must come within {patience.chunk:g} seconds" in told
    assert f"the whole upload within {patience.upload:g} seconds" in told
    assert f"attempt ({settings.attempt_timeout:g} seconds unless set otherwise)" in told
    assert f"and {CALL_MARGIN:g} seconds more" in told
    assert patience.call == settings.attempt_timeout + CALL_MARGIN
    assert f"may ping every {MIN_PING_MS // 1000} seconds" in told


def test_every_variable_that_is_read_is_in_the_readme() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in PROGRAMS)
    read = set(re.findall(r"\bIMAGEEDIT_[A-Z_]+[A-Z]\b", text))
    told = set(re.findall(r"\bIMAGEEDIT_[A-Z_]+[A-Z]\b", README))
    assert {name for name in read if "TEST" not in name} == told
    for vendor in ("OPENAI", "OPENROUTER", "SILICONFLOW"):
        assert f"`{vendor}_API_KEY`" in README
        assert f"`{vendor}_BASE_URL`" in README


@pytest.mark.parametrize(
    "model", load(None, ("openai", "openrouter", "siliconflow"), ("openai",))._all.values()
)
def test_every_model_is_in_the_readme_with_its_price_and_end(model: object) -> None:
    (row,) = (
        line
        for line in README.splitlines()
        if line.startswith("| `") and f"`{model.alias}`" in line
    )  # type: ignore[attr-defined]
    price = model.pricing.get("image")  # type: ignore[attr-defined]
    assert (f"${price} an edit" if price else "tokens") in row
    if model.expiration:  # type: ignore[attr-defined]
        assert str(model.expiration) in row  # type: ignore[attr-defined]


def test_every_field_of_the_form_is_in_the_readme() -> None:
    from gateway_http.parameters import FIELDS

    assert {field for field in FIELDS if f"`{field}`" not in README} == set()


def test_every_field_of_an_edit_is_told_by_the_readme() -> None:
    names = {field.name for field in pb.EditImageRequest.DESCRIPTOR.fields}
    assert {name for name in names - {"images"} if f"`{name}`" not in README} == set()


def test_every_target_of_the_readme_and_the_contract_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in {"run", "demo", "test", "check", "help"} | set(
        re.findall(r"^make (\w+)", README, re.MULTILINE)
    ):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_path_that_a_page_links_to_is_there() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{page.name}: {target}"


def test_the_sample_pictures_are_what_their_script_renders(tmp_path: Path) -> None:
    kept = ROOT / "docs" / "samples"
    with Image.open(kept / "landscape.png") as picture:
        assert picture.tobytes() == landscape.render()[0].tobytes()
    # Making the files small takes longer than all else.
    for path in samples.write(tmp_path, whole.of(samples.SCENES, {})):
        assert path.read_bytes() == (kept / path.name).read_bytes(), path.name


def test_pinned_dependencies_hold_all_that_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = (ROOT / "deploy/requirements-dev.txt").read_text(encoding="utf-8")
    declared = project["dependencies"] + [
        name for extra in project["optional-dependencies"].values() for name in extra
    ]
    for requirement in declared:
        name = re.split(r"[\[<>=~!]", requirement)[0]
        assert re.search(rf"^{re.escape(name)}==", pinned, re.MULTILINE), name
    assert "--hash=sha256:" in pinned


def test_nothing_of_a_machine_or_a_registry_is_in_the_project() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    banned = re.compile(rb"/(?:work|root|home)/\w+/|pypi\.org|registry\.npmjs|files\.pythonhosted")
    for name in tracked:
        path = ROOT / name
        if path.suffix != ".png" and path.is_file() and path.name != Path(__file__).name:
            assert not banned.search(path.read_bytes()), name


def test_the_built_in_catalogue_names_no_key() -> None:
    assert "key" not in BUILT_IN.read_text(encoding="utf-8").replace("have a key", "")
