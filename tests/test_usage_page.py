"""The usage page and the reference in a real browser, on edits that were really done."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser import SECONDS, asked, browser, console, look
from tests.edits import Edit, by_http
from tests.node_scripts import NotThere, node_modules
from tests.paid_keys import paid_key
from tests.playground_modules import node_folder
from tests.programs import ROOT
from tests.running import Gateway, eventually

MODEL = "black-forest-labs/flux-kontext-dev"
TEXTS = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText.trim())"
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def chrome(folder: Path) -> Iterator[Chrome]:
    try:
        with browser(folder) as chrome:
            yield chrome
    except NotThere as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def account(gateway: Gateway) -> tuple[str, list[str]]:
    """A key, and the request ids of its edits: two of ann, and one that failed."""
    secret = paid_key(gateway.store)[1]
    wanted = [
        ("sepia [sandbox echo]", "ann"),
        ("[sandbox echo]", "ann"),
        ("[sandbox error500]", ""),
    ]
    done = [
        by_http(gateway, Edit({"model": MODEL, "prompt": prompt, "user": user}, key=secret))
        for prompt, user in wanted
    ]
    assert [one.status_code for one in done] == [200, 200, 502]
    return secret, [one.headers["x-request-id"] for one in done]


def texts(chrome: Chrome, selector: str) -> list[str]:
    found: list[str] = chrome.execute_script(TEXTS, selector)  # at one moment
    return found


def wait_for(chrome: Chrome, selector: str, number: int) -> None:
    WebDriverWait(chrome, SECONDS, poll_frequency=0.05).until(
        lambda _: len(texts(chrome, selector)) == number
    )


def quiet(chrome: Chrome, gateway: Gateway) -> None:
    """Check that the pages complained of nothing and asked nobody else."""
    assert console(chrome) == []
    assert all(one.startswith(f"{gateway.url}/") for one in asked(chrome))


def check_access(chrome: Chrome, *parts: str) -> None:
    """Check light and wide, then dark and narrow: what axe finds, and that nothing is cut off.

    Looked at are `parts` of the page, by selectors.
    """
    axe = (node_modules() / "axe-core" / "axe.min.js").read_text("utf-8")
    chrome.execute_script(axe)
    for dark, phone in ((False, False), (True, True)):
        look(chrome, dark=dark, phone=phone)
        wide = "return document.documentElement.scrollWidth - innerWidth"
        assert chrome.execute_script(wide) <= 0
        found = chrome.execute_async_script(
            "axe.run({include: arguments[0]}).then(arguments[1])", [[part] for part in parts]
        )
        assert [
            (one["id"], [node["html"][:200] for node in one["nodes"]])
            for one in found["violations"]
            if one["impact"] in SERIOUS
        ] == []
    look(chrome)


def test_the_usage_of_an_account(
    chrome: Chrome, gateway: Gateway, account: tuple[str, list[str]], folder: Path
) -> None:
    secret, ids = account
    chrome.get(f"{gateway.url}/usage")
    assert "Enter a key" in texts(chrome, "#welcome")[0]
    chrome.find_element(By.ID, "key").send_keys(secret, "\n")
    wait_for(chrome, "#edits tbody tr", 3)
    assert texts(chrome, "#edits td code") == ids[::-1]
    assert texts(chrome, "#edits .tag") == ["vendor failed", "delivered", "delivered"]
    figures = dict(zip(texts(chrome, "#figures dt"), texts(chrome, "#figures dd"), strict=True))
    assert figures["Edits"] == "3"
    assert figures["Delivered"] == "67 %"
    assert figures["Spent in this period"].startswith("$0.")
    assert texts(chrome, "#models td")[0] == MODEL
    assert texts(chrome, "#users td:first-child") == ["ann", "(not named)"]
    assert texts(chrome, "#errors td code") == ["upstream_error"]
    assert len(chrome.find_elements(By.CSS_SELECTOR, "#days svg g")) == 30
    check_access(chrome, "html")

    Select(chrome.find_element(By.ID, "outcome")).select_by_value("failed")
    wait_for(chrome, "#edits tbody tr", 1)
    assert texts(chrome, "#figures dd")[3] == "1"
    Select(chrome.find_element(By.ID, "outcome")).select_by_value("")
    chrome.find_element(By.ID, "user").send_keys("ann\n")
    wait_for(chrome, "#edits tbody tr", 2)
    chrome.find_element(By.ID, "csv").click()
    path = folder / "downloads" / "edits.csv"
    assert eventually(path.exists, seconds=10)
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    assert [row["id"] for row in rows] == ids[1::-1]
    assert secret not in chrome.execute_script("return location.href + document.cookie")
    quiet(chrome, gateway)


def test_the_modules(tmp_path: Path) -> None:
    try:
        script = node_folder(tmp_path, "usage.test.mjs")
    except NotThere as missing:
        pytest.skip(str(missing))
    done = subprocess.run(
        ["node", "--test", script], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout


def test_a_wrong_key_is_told(chrome: Chrome, gateway: Gateway) -> None:
    chrome.get(f"{gateway.url}/usage")
    chrome.execute_script("localStorage.setItem('imageedit.key', 'ie_wrong')")
    chrome.refresh()
    wait_for(chrome, "#problem:not([hidden])", 1)
    assert "The key is not valid. Paste a key" in texts(chrome, "#problem")[0]
    assert not chrome.find_element(By.ID, "answers").is_displayed()
    assert all("401" in line for line in console(chrome))  # a browser tells of each, whatever we do
    chrome.execute_script("localStorage.clear()")


def test_the_reference_shows_all_that_the_description_has(chrome: Chrome, gateway: Gateway) -> None:
    chrome.get(f"{gateway.url}/docs#getUsage")
    description = json.loads((ROOT / "gateway_http/openapi.json").read_text("utf-8"))
    operations = [
        (path, method, one)
        for path, methods in description["paths"].items()
        for method, one in methods.items()
        if method != "parameters"
    ]
    wait_for(chrome, ".route", len(operations))
    shown = zip(texts(chrome, ".route .method"), texts(chrome, ".route h3"), strict=True)
    assert sorted(shown) == sorted((method.upper(), path) for path, method, _ in operations)
    assert chrome.execute_script("return scrollY") > 0  # at the place that the address names
    told = chrome.execute_script("return document.body.textContent")
    for _, _, one in operations:
        assert one["summary"] in told
    for name, schema in description["components"]["schemas"].items():
        for field, facts in schema.get("properties", {}).items():
            assert field in told, name
            assert facts.get("description", "") in told, (name, field)
    for header in description["components"]["headers"].values():
        assert header["description"] in told
    assert "undefined" not in told
    # Routes are alike, and axe takes its time.
    check_access(chrome, "header.bar", "#contents", "h1", "#deleteJob", "#getUsage")
    quiet(chrome, gateway)
