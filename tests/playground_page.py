"""The playground as someone at a browser uses it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser import SECONDS

STILL_ASKING = "return document.querySelector('.model') === null"


class Playground:
    """The page in `chrome`, as the gateway at `url` serves it."""

    def __init__(self, chrome: Chrome, url: str) -> None:
        self.chrome = chrome
        self.url = url

    def open(self) -> None:
        """Load the page with nothing kept from before, and wait for the models."""
        self.chrome.get(f"{self.url}/")
        self.script("localStorage.clear(); sessionStorage.clear()")
        self.chrome.refresh()
        self.wait(lambda: not self.script(STILL_ASKING))

    def script(self, text: str, *arguments: object) -> Any:
        return self.chrome.execute_script(text, *arguments)

    def find(self, selector: str) -> WebElement:
        return self.chrome.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.chrome.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def click(self, selector: str) -> None:
        # Scrolled to the middle: nothing that sticks may lie over it.
        self.script("arguments[0].scrollIntoView({block: 'center'})", self.find(selector))
        self.find(selector).click()

    def wait(self, condition: Callable[[], object]) -> None:
        WebDriverWait(self.chrome, SECONDS, poll_frequency=0.05).until(lambda _: condition())

    def use_key(self, key: str) -> None:
        self.click("#key-told")
        self.find("#key").clear()
        self.find("#key").send_keys(key, "\n")

    def load(self, picture: Path) -> None:
        self.find("#picture-file").send_keys(str(picture))
        self.wait(lambda: picture.name in self.text("#picture-facts"))

    def paint(self, *moves: tuple[int, int]) -> None:
        """Drag the brush from the middle of the picture by `moves` in CSS pixels."""
        self.script("arguments[0].scrollIntoView({block: 'center'})", self.find("#canvas"))
        drag = ActionChains(self.chrome, 0).move_to_element(self.find("#canvas")).click_and_hold()
        for move in moves:
            drag = drag.move_by_offset(*move)
        drag.release().perform()

    def describe(self, prompt: str) -> None:
        self.find("#prompt").clear()
        self.find("#prompt").send_keys(prompt)

    def pick(self, *aliases: str) -> None:
        """Pick these models and no others."""
        for box in self.all(".model input"):
            if box.is_selected() != (box.get_attribute("value") in aliases):
                box.click()

    def states(self) -> list[str | None]:
        """Return the states of the visit's edits, the newest first."""
        return [card.get_attribute("data-state") for card in self.all(".run")]

    def run(self, *, number: int = 1) -> None:
        """Run, and wait for `number` edits to have ended."""
        before = len(self.states())
        self.click("#run")
        self.wait(lambda: len(self.states()) == before + number and "running" not in self.states())

    def facts(self) -> dict[str, str]:
        """Return what is told of the result that is shown."""
        rows = (row.text.partition("\n") for row in self.all("#facts > div"))
        return {name: value for name, _, value in rows}
