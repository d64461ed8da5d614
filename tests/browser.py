"""Headless Chromium, driven as a person would; tests that need it are skipped where it is absent."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

PHONE, DESKTOP = (390, 844), (1280, 900)  # pixels


@contextmanager
def chromium(size: tuple[int, int] = DESKTOP) -> Iterator[Any]:
    """A browser, by Selenium's driver for it."""
    webdriver = pytest.importorskip("selenium.webdriver")
    found, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not found or not driver:
        pytest.skip("Chromium and its driver are absent: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = found
    # A browser that asks its maker for updates or lists would be taken for the page.
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking", "mute-audio"):
        options.add_argument(f"--{word}")
    options.add_argument("--autoplay-policy=no-user-gesture-required")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    one = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        # A window cannot be as narrow as a phone; its view can.
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        one.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        yield one
    finally:
        one.quit()


def hosts(one: Any) -> set[str]:
    """The hosts that the page has asked for anything."""
    events = (json.loads(entry["message"])["message"] for entry in one.get_log("performance"))
    addresses = (
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    )
    return {part.hostname or "" for part in map(urlsplit, addresses) if part.scheme in ("http", "https", "ws", "wss")}


def overflow(one: Any) -> int:
    """Pixels by which the page is wider than its view."""
    return int(one.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth"))
