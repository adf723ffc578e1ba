"""`python -m tests.screenshots DIRECTORY`: look at the pages, and keep what is seen.

Each page is shown in light and dark, as wide as a desktop and as a phone, after an edit by the
sandbox; colours are cut to a palette, so that the files stay small.
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from sandbox.server import SandboxServer
from tests.browser import SECONDS, browser, look
from tests.paid_keys import now, paid_key
from tests.playground_page import Playground
from tests.programs import ROOT
from tests.running import Gateway
from tests.usage_records import month, write

CREDIT = 10 * 10**9  # nano-dollars
MOST_BYTES = 300_000
MOST_PIXELS = 1_800
SCALES = (1.0, 0.9, 0.8, 0.7, 0.6)  # tried in turn until a file is small enough


def shoot(chrome: Chrome, path: Path, *, dark: bool, phone: bool, most: int | None = None) -> None:
    """Write what the whole page looks like, or its `most` uppermost pixels."""
    look(chrome, dark=dark, phone=phone)
    chrome.execute_script("scrollTo(0, 0)")
    chrome.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 400))")
    size = chrome.execute_script(
        "const {scrollWidth, scrollHeight} = document.documentElement;"
        "return {x: 0, y: 0, width: scrollWidth, height: scrollHeight, scale: 1}"
    )
    size["height"] = min(size["height"], most or size["height"])
    taken = chrome.execute_cdp_cmd(
        "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": size}
    )
    with Image.open(io.BytesIO(base64.b64decode(taken["data"]))) as image:
        path.write_bytes(small(image.convert("RGB")))


def small(image: Image.Image) -> bytes:
    """Return a PNG of at most MOST_BYTES, as large as that allows."""
    for scale in SCALES:
        size = (round(image.width * scale), round(image.height * scale))
        scaled = image.resize(size, Image.Resampling.LANCZOS)
        file = io.BytesIO()
        scaled.quantize(256, kmeans=2).save(file, "PNG", optimize=True)
        if file.tell() <= MOST_BYTES:
            break
    return file.getvalue()


def playground(chrome: Chrome, gateway: Gateway, directory: Path) -> None:
    """Show a masked edit by three models."""
    page = Playground(chrome, gateway.url)
    page.open()
    page.use_key(paid_key(gateway.store, credit=CREDIT)[1])
    page.click("[data-sample=landscape]")
    page.wait(lambda: "landscape" in page.text("#picture-facts"))
    page.find("#mask-file").send_keys(str(ROOT / "docs" / "samples" / "landscape-mask.png"))
    page.wait(lambda: "The mask selects" in page.text("#told"))
    page.describe("turn the sky into a watercolor sunset")
    page.pick("openai/gpt-image-2", "openai/gpt-image-1.5", "qwen/qwen-image-edit-2509")
    page.run(number=3)
    page.script("document.querySelector('.models').scrollTop = 0; document.activeElement.blur()")
    page.wait(lambda: page.text("#estimate").startswith("At most"))
    for phone in (False, True):
        for dark in (False, True):
            name = f"playground-{'dark' if dark else 'light'}-{'phone' if phone else 'desktop'}.png"
            shoot(chrome, directory / name, dark=dark, phone=phone)


def usage(chrome: Chrome, gateway: Gateway, directory: Path) -> None:
    """Show a month of an account."""
    key, secret = paid_key(gateway.store, credit=CREDIT)
    write(gateway.store, *month(key, now()))
    chrome.execute_script("localStorage.setItem('imageedit.key', arguments[0])", secret)
    both(chrome, f"{gateway.url}/usage", directory, "usage", ready="#edits tbody tr")


def reference(chrome: Chrome, gateway: Gateway, directory: Path) -> None:
    """Show the beginning of the reference."""
    both(chrome, f"{gateway.url}/docs", directory, "docs", ready=".route")


def both(chrome: Chrome, url: str, directory: Path, name: str, *, ready: str) -> None:
    """Show a page in every look, loaded in it, as soon as `ready` is there."""
    for phone in (False, True):
        for dark in (False, True):
            look(chrome, dark=dark, phone=phone)
            chrome.get(url)
            WebDriverWait(chrome, SECONDS).until(
                lambda _: chrome.find_elements(By.CSS_SELECTOR, ready)
            )
            path = (
                directory
                / f"{name}-{'dark' if dark else 'light'}-{'phone' if phone else 'desktop'}.png"
            )
            shoot(chrome, path, dark=dark, phone=phone, most=MOST_PIXELS)


def main(directory: Path) -> None:
    """Write all screenshots into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with (
            SandboxServer() as sandbox,
            Gateway(sandbox.environment(), folder) as gateway,
            browser(folder) as chrome,
        ):
            look(chrome)
            playground(chrome, gateway, directory)
            usage(chrome, gateway, directory)
            reference(chrome, gateway, directory)
            gateway.findings = list  # the month was never in the books


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.screenshots DIRECTORY")
    main(Path(sys.argv[1]))
