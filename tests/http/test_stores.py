"""What every store promises, run against SQLite's file and against etcd: whole transactions, a chain of audit rows."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from http_server.audit_chain import ChainError, verify
from http_server.boot import Boot, BootState, Machine
from http_server.errors import StartError
from http_server.model import AuditEvent, Claim, Enrolment, EnrolmentState, Facts, Report, ReportState, Slot, Token
from http_server.ports import Store, Transaction
from http_server.settings import EtcdAddress
from http_server.store_batch import UnrecordedChangeError
from http_server.store_history import all_events, open_sqlite
from tests.http import etcd

NOW = 1_800_000_000.0


@dataclass
class Place:
    """Where a store is kept; it can be opened again and again."""

    folder: Path
    address: EtcdAddress | None

    def open(self, now: float = NOW) -> Store:
        if self.address:
            return etcd.opened(self.folder, self.address, lambda: now)
        return open_sqlite(self.folder / "store.db", self.folder / "head", lambda: now)

    @contextmanager
    def opened(self) -> Iterator[Store]:
        with closing(self.open()) as store:
            yield store


@pytest.fixture(params=["sqlite", "etcd"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, etcd.fresh_address() if request.param == "etcd" else None)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with place.opened() as made:
        yield made


def put(enrolment: Enrolment) -> Callable[[Transaction], None]:
    def decide(transaction: Transaction) -> None:
        transaction.put_enrolment(enrolment)
        transaction.record(AuditEvent("put", enrolment.node))

    return decide


def test_every_word_comes_back_as_it_was_put(store: Store) -> None:
    facts = Facts(("52:54:00:00:00:11",), "uuid", "serial", "x86_64", "debian 12", "6.1")
    enrolment = Enrolment("m1", 2, EnrolmentState.BOUND, "d" * 64, facts, 5.5)
    token = Token("abcdef", "w1", 1, b"sealed", NOW + 5)
    report = Report("m1", 2, "base", ReportState.FAILED, 1.25, 3, "log\n", NOW)
    boot = Boot("m1", 2, BootState.OFFERED, "run", Machine("mac", "uuid"), wipe=True, until=NOW)

    def decide(transaction: Transaction) -> None:
        transaction.put_enrolment(enrolment)
        transaction.put_claim(Claim(1))
        transaction.put_claim(Claim(2, node="m1"))
        transaction.put_slot(Slot("m2", NOW))
        transaction.put_token(token)
        transaction.put_report(report)
        transaction.put_boot(boot)
        transaction.put_sealed_keys(2, {"a": b"\xff1"})
        transaction.put_cluster("prod")
        transaction.record(AuditEvent("all", detail={"x": "y"}))

    store.transact(decide)
    assert store.read(lambda view: view.enrolment("m1")) == enrolment
    assert store.read(lambda view: view.claim()) == Claim(2, node="m1")
    assert store.read(lambda view: view.slot()) == Slot("m2", NOW)
    assert store.read(lambda view: (view.token("w1"), view.token_holder("abcdef"), view.tokens())) == (
        token,
        "w1",
        (token,),
    )
    assert store.read(lambda view: (view.reports(), view.boot("m1"), view.boots())) == ((report,), boot, (boot,))
    assert store.read(lambda view: (view.sealed_keys(2), view.sealed_keys(1), view.cluster())) == (
        {"a": b"\xff1"},
        {},
        "prod",
    )
    assert (store.events(0, 9)[0].event.detail, store.mark()) == ({"x": "y"}, NOW)


def test_a_decision_that_raises_changes_nothing(store: Store) -> None:
    def decide(transaction: Transaction) -> None:
        put(Enrolment("m1", 1))(transaction)
        raise LookupError

    with pytest.raises(LookupError):
        store.transact(decide)
    assert store.read(lambda view: view.enrolments()) == ()
    assert store.events(0, 9) == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.put_enrolment(Enrolment("m1", 1)), lambda t: t.put_claim(Claim(1)), lambda t: t.put_slot(None),
        lambda t: t.put_token(Token("a", "b", 1, b"", 0)), lambda t: t.drop_token("a"),
        lambda t: t.put_sealed_keys(1, {"a": b""}),
    ],
)  # fmt: skip
def test_no_change_without_an_audit_row(store: Store, change: Callable[[Transaction], None]) -> None:
    with pytest.raises(UnrecordedChangeError):
        store.transact(change)
    assert store.read(lambda view: view.enrolments()) == ()


def both(digest: str) -> Callable[[Transaction], None]:
    def decide(transaction: Transaction) -> None:
        for node in ("a", "b"):
            put(Enrolment(node, 1, digest=digest))(transaction)

    return decide


def test_what_is_committed_survives_and_readers_see_whole_states(place: Place) -> None:
    with place.opened() as store:
        pairs: set[tuple[str, ...]] = set()
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                pairs.add(tuple(found.digest for found in store.read(lambda view: view.enrolments())))

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for turn in range(50):
            store.transact(both(str(turn)))
        done.set()
        for reader in readers:
            reader.join()
    assert all(len(set(pair)) <= 1 and len(pair) in {0, 2} for pair in pairs)
    with place.opened() as store:
        assert {found.digest for found in store.read(lambda view: view.enrolments())} == {"49"}


def test_verify_names_the_row(store: Store) -> None:
    for number in range(3):
        store.transact(put(Enrolment(f"n{number}", 1)))
    rows = list(all_events(store))
    last = verify(rows)
    assert last is not None
    assert last.seq == 3
    with pytest.raises(ChainError, match="row 2 is missing"):
        verify([rows[0], rows[2]])
    with pytest.raises(ChainError, match="row 1 is missing"):
        verify(rows[1:])


def test_decisions_at_the_same_time_are_each_undone_alone(place: Place) -> None:
    """Many threads, one of three raises: every other decision is kept, in one unbroken chain."""
    outcomes: dict[str, str] = {}

    def work(store: Store, name: str) -> None:
        def decide(transaction: Transaction) -> str:
            put(Enrolment(name, 1))(transaction)
            if int(name) % 3 == 0:
                raise LookupError
            return name

        try:
            outcomes[name] = store.transact(decide)
        except LookupError:
            outcomes[name] = "raised"

    with place.opened() as store:
        threads = [threading.Thread(target=work, args=(store, str(number))) for number in range(120)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kept = {found.node for found in store.read(lambda view: view.enrolments())}
        rows = list(all_events(store))
    assert kept == {str(number) for number in range(120) if number % 3}
    assert outcomes == {str(n): str(n) if n % 3 else "raised" for n in range(120)}
    verify(rows)
    assert {row.event.node for row in rows} == kept


def test_decisions_that_wait_in_a_loop_are_each_undone_alone(place: Place) -> None:
    """As from threads, and from two loops at the same time."""

    def decide(name: str) -> Callable[[Transaction], str]:
        def work(transaction: Transaction) -> str:
            put(Enrolment(name, 1))(transaction)
            if int(name) % 3 == 0:
                raise LookupError
            return name

        return work

    async def all_of(store: Store, names: range) -> list[object]:
        works = (store.transacted(decide(str(number))) for number in names)
        return [*await asyncio.gather(*works, return_exceptions=True)]

    with place.opened() as store, ThreadPoolExecutor(2) as pool:
        halves = [pool.submit(asyncio.run, all_of(store, half)) for half in (range(75), range(75, 150))]
        outcomes = [outcome for half in halves for outcome in half.result(60)]
        kept = {found.node for found in store.read(lambda view: view.enrolments())}
        verify(all_events(store))
    assert [isinstance(outcome, LookupError) for outcome in outcomes] == [n % 3 == 0 for n in range(150)]
    assert kept == {outcome for outcome in outcomes if isinstance(outcome, str)}


def test_enrolments_are_found_by_what_their_facts_name(store: Store) -> None:
    mac, odd = "52:54:00:00:00:11", 'a "quoted" \\ ü'
    store.transact(put(Enrolment("a", 1, facts=Facts((mac,), "uuid-a"))))
    store.transact(put(Enrolment("b", 1, facts=Facts((), odd))))
    store.transact(put(Enrolment("c", 1, facts=Facts(("52:54:00:00:00:12",), "uuid-c"))))

    def naming(*marks: str) -> set[str]:
        return {found.node for found in store.read(lambda view: view.enrolments_naming(marks))}

    assert {"a"} <= naming(mac)
    assert {"b"} <= naming(odd)
    assert {"a", "c"} <= naming("uuid-c", mac)


def test_sqlite_gives_no_enrolments_that_name_nothing_of_it(tmp_path: Path) -> None:
    with Place(tmp_path, None).opened() as store:
        store.transact(put(Enrolment("a", 1, facts=Facts((), "uuid-a"))))
        assert store.read(lambda view: (view.enrolments_naming(()), view.enrolments_naming(("uuid-b",)))) == ((), ())


def test_a_transaction_sees_its_own_changes(store: Store) -> None:
    def decide(transaction: Transaction) -> None:
        transaction.put_slot(Slot("m2", NOW))
        assert transaction.slot() == Slot("m2", NOW)
        transaction.put_slot(None)
        assert transaction.slot() is None
        for name in ("aaaaaa", "bbbbbb"):
            transaction.put_token(Token(name, "w1", 1, b"", NOW, dead=name == "aaaaaa"))
        assert transaction.token_holder("bbbbbb") == "w1"
        assert transaction.token_holder("aaaaaa") is None
        transaction.drop_token("aaaaaa")
        transaction.put_report(Report("w1", 1, "base", ReportState.DONE, 1, 1, "", NOW))
        seen = transaction.report("w1", 1, "base")
        assert seen
        assert seen.state is ReportState.DONE
        transaction.record(AuditEvent("many"))
        transaction.record(AuditEvent("rows"))

    store.transact(decide)
    assert [token.id for token in store.read(lambda view: view.tokens())] == ["bbbbbb"]
    assert store.read(lambda view: view.slot()) is None
    assert [row.event.action for row in store.events(0, 9)] == ["many", "rows"]
    assert verify(all_events(store)) == store.events(1, 1)[0]


def test_the_audits_time_never_runs_back(place: Place) -> None:
    with closing(place.open(NOW)) as store:
        store.transact(put(Enrolment("a", 1)))
    with closing(place.open(NOW - 10_000)) as store:
        store.transact(put(Enrolment("b", 1)))
        assert [row.at for row in store.events(0, 9)] == [NOW, NOW]
        assert store.mark() == NOW


def test_a_store_behind_its_remembered_head_is_refused(place: Place) -> None:
    with place.opened() as store:
        store.transact(put(Enrolment("a", 1)))
    head = place.folder / "head"
    head.write_text(f"2 {head.read_text().split()[1]}\n")
    with pytest.raises(StartError, match="an old copy of the store was put back"):
        place.open()
    head.write_text("1 " + "0" * 64)
    with pytest.raises(StartError, match="is not the one that"):
        place.open()


def test_many_events_come_in_pages(store: Store) -> None:
    def decide(transaction: Transaction) -> None:
        for number in range(100):
            transaction.record(AuditEvent("row", str(number)))

    for _ in range(3):
        store.transact(decide)
    assert [row.seq for row in store.events(99, 3)] == [100, 101, 102]
    assert [row.event.node for row in all_events(store)] == [str(number % 100) for number in range(300)]
