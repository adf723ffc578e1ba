"""A browser without a window, and what it said: its console, and every address that it asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from tests.node_scripts import NotThere

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--window-size=1440,1000",
)
SECONDS = 20


@contextmanager
def browser(folder: Path) -> Iterator[Chrome]:
    """Yield Chromium with a new profile in `folder`; raises NotThere where there is none.

    Downloads go to `folder / "downloads"`.
    """
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        raise NotThere("chromium or chromedriver is not installed")
    options = ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.add_experimental_option(
        "prefs", {"download.default_directory": str(folder / "downloads")}
    )
    chrome = Chrome(options, ChromeService(driver))
    try:
        chrome.set_script_timeout(SECONDS)
        chrome.set_page_load_timeout(SECONDS)
        yield chrome
    finally:
        chrome.quit()


def console(chrome: Chrome) -> list[str]:
    """Return what the console said since the last look, from warnings on."""
    levels = {"WARNING", "SEVERE"}
    return [entry["message"] for entry in chrome.get_log("browser") if entry["level"] in levels]


def asked(chrome: Chrome) -> list[str]:
    """Return the addresses of all that was asked since the last look."""
    found = []
    for entry in chrome.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            if not url.startswith(("data:", "blob:", "chrome:")):
                found.append(url)
    return found


def look(chrome: Chrome, *, dark: bool = False, phone: bool = False) -> None:
    """Take on a system's colours and a device's width; nothing moves while it is looked at."""
    media = {
        "prefers-color-scheme": "dark" if dark else "light",
        "prefers-reduced-motion": "reduce",
    }
    features = [{"name": name, "value": value} for name, value in media.items()]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": 390, "height": 844} if phone else {"width": 1440, "height": 1000}
    chrome.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**size, "deviceScaleFactor": 1, "mobile": phone}
    )
