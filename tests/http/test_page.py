"""The status page in a real browser: what it shows, that it stays true by itself, on a phone and with 1,000 nodes."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.http.browser import DESKTOP, PHONE, browser, missing, picture, resize
from tests.http.outfolder import STAGES
from tests.http.process import Coordinator, running

SECONDS = 20
MANY = 1000

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"no {missing()} on PATH: make packages")


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chrome]:
    with browser() as driver:
        yield driver


def busy(coordinator: Coordinator) -> None:
    """A cluster in the middle of its first boot: every colour of the page is there."""
    first = coordinator.machine("m1").enrolled()
    first.initialise()
    for stage in STAGES:
        first.report(stage, "skipped" if stage == "backup" else "done", seconds="6.5")
    second = coordinator.machine("m2").enrolled()
    for stage in STAGES[:5]:
        second.report(stage, "done", seconds="12")
    second.report("pki", "started")
    third = coordinator.machine("m3").enrolled()
    for stage in STAGES[:4]:
        third.report(stage, "done", seconds="3")
    third.report("base", "failed", seconds="31", attempt="3", log="E: Unable to locate package\n<b>not markup</b>")
    stopped = coordinator.machine("w1").enrolled()
    stopped.report("preflight", "stopped", log="memory: 512 MiB, at least 2048 MiB are needed: add memory")
    coordinator.machine("w2").enrol("Pending w2")


def shows(driver: Chrome, script: str, wanted: object) -> None:
    """Until the expression has that value; the failure names the value it has instead."""
    end = time.monotonic() + SECONDS
    while (found := driver.execute_script(f"return {script}")) != wanted:
        assert time.monotonic() < end, f"{script} is {found!r}, not {wanted!r}"
        time.sleep(0.1)


def visit(driver: Chrome, coordinator: Coordinator) -> None:
    driver.get("about:blank")
    driver.get_log("browser")  # type: ignore[no-untyped-call]  # the former test's page lost its coordinator
    driver.get(f"http://127.0.0.1:{coordinator.ui_port}/")
    shows(driver, "document.getElementById('link').textContent", "live")
    WebDriverWait(driver, SECONDS).until(lambda found: found.find_elements(By.CSS_SELECTOR, ".node"))


def clean(driver: Chrome) -> None:
    """Nothing was refused by the page's own policy, and no script failed."""
    assert [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []  # type: ignore[no-untyped-call]  # selenium has no types there


def counts(driver: Chrome) -> dict[str, int]:
    buttons = driver.find_elements(By.CSS_SELECTOR, "#filters button")
    pairs = (button.text.split(maxsplit=1) for button in buttons)
    return {label.strip(): int(number) for number, label in pairs}


def overflow(driver: Chrome) -> int:
    """CSS pixels that the page is wider than its window."""
    wide: int = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    return wide


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_who_needs_whom(chrome: Chrome, coordinator: Coordinator, scheme: str) -> None:
    busy(coordinator)
    resize(chrome, DESKTOP, scheme)
    visit(chrome, coordinator)
    shows(chrome, "document.querySelectorAll('.cell[data-state=stopped]').length", 1)
    assert counts(chrome) == {
        "nodes": 5, "in trouble": 2, "wait for you": 1, "at work": 1, "not started": 0, "done": 1,
    }  # fmt: skip
    waiting = chrome.find_element(By.ID, "waiting").text
    fingerprint = coordinator.status()["nodes"]["w2"]["fingerprint"]
    assert f"kubeseed approve {coordinator.out.root} w2 {fingerprint}" in waiting
    chrome.find_element(By.CSS_SELECTOR, ".node.trouble .row").click()
    assert "<b>not markup</b>" in chrome.find_element(By.CSS_SELECTOR, ".detail pre").text
    assert overflow(chrome) == 0
    picture(chrome, f"status-page-desktop-{scheme}")
    clean(chrome)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone(chrome: Chrome, coordinator: Coordinator, scheme: str) -> None:
    busy(coordinator)
    resize(chrome, PHONE, scheme)
    visit(chrome, coordinator)
    shows(chrome, "document.querySelectorAll('.cell[data-state=stopped]').length", 1)
    assert overflow(chrome) == 0
    heights = "[...document.querySelectorAll('button')].map(button => button.getBoundingClientRect().height)"
    smallest = chrome.execute_script(f"return Math.min(...{heights})")
    assert smallest >= 40, "too small for a finger"
    picture(chrome, f"status-page-phone-{scheme}")
    clean(chrome)


def test_the_page_follows_without_being_loaded_again(chrome: Chrome, coordinator: Coordinator) -> None:
    resize(chrome, DESKTOP)
    visit(chrome, coordinator)
    chrome.execute_script("window.loadedOnce = true")
    machine = coordinator.machine("w1").enrolled()
    machine.report("base", "started")
    shows(chrome, "document.querySelectorAll('.cell[data-state=started]').length", 1)
    machine.report("base", "done", seconds="42")
    shows(chrome, "document.querySelector('.cell[data-state=done]')?.textContent", "42s")
    coordinator.kill()
    shows(chrome, "document.getElementById('link').className", "lost")
    coordinator.start()
    shows(chrome, "document.getElementById('link').className", "live")
    machine.report("scrub", "done")
    shows(chrome, "document.querySelectorAll('.node.done').length", 1)
    assert chrome.execute_script("return window.loadedOnce")
    chrome.get_log("browser")  # type: ignore[no-untyped-call]  # the lost connection is there, as it should be


def test_a_backup_that_is_too_old_is_red(chrome: Chrome, coordinator: Coordinator) -> None:
    coordinator.out.inventory["backupHours"] = 24
    coordinator.out.write_inventory()
    coordinator.machine("m1").enrolled().initialise()
    resize(chrome, DESKTOP)
    visit(chrome, coordinator)
    shows(chrome, "document.getElementById('backup').textContent", "no backup has arrived yet")
    shows(chrome, "document.getElementById('backup').className", "stale")
    red = chrome.find_element(By.ID, "backup").value_of_css_property("color")
    assert red == "rgba(179, 38, 30, 1)"
    clean(chrome)


def test_the_page_holds_a_thousand_nodes(chrome: Chrome, tmp_path: Path) -> None:
    with running(tmp_path) as coordinator:
        for number in range(MANY - len(coordinator.out.inventory["nodes"])):
            coordinator.out.add_worker(f"rack{number % 40:02}-n{number:03}")
        coordinator.kill()
        coordinator.out.write_inventory()
        fill(coordinator)
        coordinator.start()
        resize(chrome, DESKTOP)
        started = time.monotonic()
        visit(chrome, coordinator)
        shows(chrome, "document.querySelectorAll('.node').length", MANY)
        took = time.monotonic() - started
        assert counts(chrome)["nodes"] == MANY
        coordinator.machine("w1").enrolled().report("base", "started")
        shows(chrome, "document.querySelector('[title^=\"base: at work\"]') !== null", True)
        search(chrome, "rack07")
        picture(chrome, "status-page-1000-nodes")
        resize(chrome, PHONE, "dark")
        picture(chrome, "status-page-1000-nodes-phone")
        longest = chrome.execute_script(
            "const begun = performance.now(); choose(); nodeNames().forEach(showRow); return performance.now() - begun"
        )
        print(f"{MANY} nodes: drawn in {took:.1f} s, every row again in {longest:.0f} ms")  # noqa: T201 - a figure
        assert overflow(chrome) == 0
        clean(chrome)


def search(driver: Chrome, text: str) -> None:
    field = driver.find_element(By.ID, "search")
    field.send_keys(text)
    shown = "[...document.querySelectorAll('.node:not([hidden])')].every(n => n.textContent.includes('rack07'))"
    shows(driver, shown, True)


def fill(coordinator: Coordinator) -> None:
    """Reports of a thousand nodes, put into the store as their requests would have put them."""
    from http_server.coordinator import assemble
    from http_server.model import AuditEvent, Enrolment, EnrolmentState, Report, ReportState
    from http_server.ports import Transaction
    from http_server.settings import Out, Settings

    names = [name for name in coordinator.out.inventory["nodes"] if name.startswith("rack")]

    def put(transaction: Transaction) -> None:
        now = time.time()
        for at, name in enumerate(names):
            done = at % (len(STAGES) + 1)
            whole = done == len(STAGES)
            state = EnrolmentState.CLOSED if whole else EnrolmentState.BOUND
            transaction.put_enrolment(Enrolment(name, 1, state, f"{at:064x}"))
            for stage in STAGES[:done]:
                transaction.put_report(Report(name, 1, stage, ReportState.DONE, 1.0 + at % 90, 1, "", now))
            if not whole:
                word = ReportState.FAILED if at % 40 == 7 else ReportState.STARTED
                transaction.put_report(Report(name, 1, STAGES[done], word, 9.0, 1 + at % 3, "", now - at % 50))
        transaction.record(AuditEvent("filled"))

    with assemble(Settings(Out(coordinator.out.root))) as made:
        made.context.store.transact(put)
