"""The pages for people, as files: types, headers, caching, and what a wheel carries."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import ImageChops, ImageStat

from gateway_http.pages import HEADERS, PAGES, TYPES
from tests.fake_servicer import FakeServicer
from tests.front_running import Front, in_process
from tests.pictures import decoded
from tests.programs import ROOT

FOLDER = ROOT / "gateway_http" / "playground"
FILES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file())
PICTURES = (".png", ".jpg")
MOST_BYTES = 300_000  # of all that is not a picture


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    nobody = FakeServicer()
    nobody.address = "unix:/nonexistent/socket"  # pages ask the service nothing
    with in_process(nobody) as front:
        yield front


@pytest.mark.parametrize(
    ("path", "name"),
    [*PAGES.items(), *((f"/playground/{name}", name) for name in FILES)],
)
def test_every_file_is_served_as_what_it_is(front: Front, path: str, name: str) -> None:
    client = front.app.test_client()
    with client.get(path) as answer:
        assert (answer.status_code, answer.data) == (200, (FOLDER / name).read_bytes())
        assert answer.headers["Content-Type"] == TYPES[name.rpartition(".")[2]]
        assert HEADERS.items() <= dict(answer.headers).items()
        assert answer.headers["x-request-id"]
        tag = answer.headers["ETag"]
    with client.get(path, headers={"If-None-Match": tag}) as again:
        assert (again.status_code, again.data) == (304, b"")
    with client.get(path, headers={"If-None-Match": '"another"'}) as other:
        assert other.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/playground/",
        "/playground/nothing.js",
        "/playground/../pages.py",
        "/playground/%2e%2e/pages.py",
        "/playground//index.html",
    ],
)
def test_nothing_else_is_served(front: Front, path: str) -> None:
    with front.app.test_client().get(path) as answer:
        assert answer.status_code == 404
        assert answer.json is not None
        assert answer.json["error"]["code"] == "unknown_url"


def test_the_policy_allows_this_host_alone(front: Front) -> None:
    with front.app.test_client().get("/") as answer:
        policy = answer.headers["Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["connect-src"] == "'self'"
    assert rules["img-src"] == "'self' blob: data:"
    assert {rules[name] for name in ("frame-ancestors", "base-uri", "form-action")} == {"'none'"}
    assert "unsafe" not in policy
    assert not {"script-src", "style-src"} & set(rules)


class Tags(HTMLParser):
    """Notes what a strict policy would not run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)
        self.found += [name for name in names if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".html")])
def test_a_page_has_nothing_inline(name: str) -> None:
    tags = Tags()
    tags.feed((FOLDER / name).read_text(encoding="utf-8"))
    assert tags.found == []


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(PICTURES)])
def test_no_file_names_another_host(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    hosts = set(re.findall(r"https?://([\w.-]+)", text))
    # Names of formats, not addresses.
    assert hosts <= {"www.w3.org"}


def test_the_pages_are_light() -> None:
    sizes = [(FOLDER / name).stat().st_size for name in FILES if not name.endswith(PICTURES)]
    assert sum(sizes) < MOST_BYTES


def test_a_wheel_carries_the_pages(tmp_path: Path) -> None:
    build = "import sys, hatchling.build as h; h.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assert {f"gateway_http/playground/{name}" for name in FILES} <= inside


@pytest.mark.parametrize("name", ["landscape", "still-life"])
def test_the_samples_are_those_of_the_docs(name: str) -> None:
    ours, docs = FOLDER / "samples", ROOT / "docs" / "samples"
    mask = f"{name}-mask.png"
    assert (ours / mask).read_bytes() == (docs / mask).read_bytes()
    shown, drawn = (
        decoded(path.read_bytes(), "RGB") for path in (ours / f"{name}.jpg", docs / f"{name}.png")
    )
    changes = ImageStat.Stat(ImageChops.difference(shown, drawn)).mean
    assert max(changes) < 3


def test_the_screenshots_are_there_and_small() -> None:
    folder = ROOT / "docs" / "pictures"
    for look in ("light", "dark"):
        for width in ("desktop", "phone"):
            assert (folder / f"playground-{look}-{width}.png").stat().st_size < MOST_BYTES
