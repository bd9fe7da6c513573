"""A headless Chromium with a profile of its own, by Debian's driver."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

FLAGS = (
    "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
    "disable-component-update", "disable-sync", "hide-scrollbars",
)  # fmt: skip
DESKTOP, PHONE = (1440, 900, 1.0), (390, 844, 2.0)
PROGRAMS = ("chromium", "chromedriver")
ARTEFACTS = Path(__file__).resolve().parents[2] / "test-artefacts"


def missing() -> str:
    """Which program is not there; empty when all are."""
    return ", ".join(name for name in PROGRAMS if not shutil.which(name))


@contextmanager
def browser() -> Iterator[Chrome]:
    """Started with an empty profile and ended with its driver, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="kubeseed-chromium-") as profile:
        options = ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*FLAGS, f"user-data-dir={profile}"):
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = Chrome(options, ChromeService(shutil.which("chromedriver") or ""))
        try:
            yield driver
        finally:
            driver.quit()


def resize(driver: Chrome, size: tuple[int, int, float], scheme: str = "light") -> None:
    """A window of that many CSS pixels and device pixels for each of them, in light or dark colours."""
    width, height, scale = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": scale > 1}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", features)


def picture(driver: Chrome, name: str) -> Path:
    """A screenshot that stays after the test."""
    ARTEFACTS.mkdir(exist_ok=True)
    path = ARTEFACTS / f"{name}.png"
    assert driver.save_screenshot(str(path))
    return path
