"""The ledger: durable, fenced, exact, and honest about its past."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import polars as pl
import pytest
from sqlalchemy import text, update

from tests.databases import LEDGERS, fresh_url
from tests.worlds import HOUR, START
from thunes_core.adapters.ledger import Ledger, open_ledger
from thunes_core.adapters.ledger import schema as tables
from thunes_core.clock import FixedClock
from thunes_core.domain.orders import Fill, Leg, OrderRequest, OrderStatus, OrderType, Side
from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.domain.portfolio import Position, TradingState
from thunes_core.domain.records import DecisionContext, EquityMark, OrderRecord, Trade
from thunes_core.domain.signal import Decision
from thunes_core.errors import BadInput, LeaseHeld, StoreFailed

BOOK = Position("s", "BTCUSDT", cash=Decimal("1000.10"))
REQUEST = OrderRequest(
    "BTCUSDT", Side.BUY, OrderType.MARKET, Decimal("0.10"), "th-1", Leg.ENTRY, level=1.0
)
CONTEXT = DecisionContext("1h", "fp", "3", "run", "bars", START)
MINUTE = timedelta(minutes=1)


@pytest.fixture()
def clock():
    """Return a clock that stands still."""
    return FixedClock(START)


@pytest.fixture(params=LEDGERS)
def ledger(request, tmp_path, clock):
    """Return an empty ledger of its own, in every database that is there."""
    with fresh_url(request.param, tmp_path) as url:
        made = open_ledger(url, clock=clock, synchronous="OFF")
        yield made
        made.close()


@pytest.fixture()
def file_ledger(tmp_path, clock):
    """Return an empty ledger in a SQLite file."""
    made = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", clock=clock, synchronous="OFF")
    yield made
    made.close()


def address(ledger: Ledger) -> str:
    """Return the URL that a ledger was opened with."""
    return ledger._engine.url.render_as_string(hide_password=False)


def decision(bar=START, *requests: OrderRequest) -> Decision:
    """Return a decision of one bar."""
    return Decision("s", "BTCUSDT", bar, 1.0, 0.0, requests, BOOK, "target 1: buy up to it")


def intent(request: OrderRequest = REQUEST) -> OrderRecord:
    """Return the record of an intent."""
    return OrderRecord(request, "s", START, OrderStatus.INTENDED, START)


def a_fill(trade_id: str = "7", quantity: str = "0.10") -> Fill:
    """Return a fill of that order."""
    return Fill(
        "BTCUSDT",
        trade_id,
        "99",
        "th-1",
        Side.BUY,
        Decimal("100.5"),
        Decimal(quantity),
        Decimal("0.0001"),
        "BTC",
        False,
        START,
    )


def book(ledger: Ledger, fill: Fill, trade: Trade | None = None) -> bool:
    """Book a fill of the order in the ledger."""
    record = ledger.order("th-1")
    assert record is not None
    return ledger.record_fill(
        fill,
        record=record,
        position=replace(BOOK, quantity=Decimal("0.0999")),
        trade=trade,
        fee_quote=Decimal("0.01"),
        moved={"BTC": Decimal("0.0999"), "USDT": Decimal("-10.05")},
    )


def test_a_decision_is_stored_once_per_bar(ledger):
    """The second attempt changes nothing and says so."""
    assert ledger.record_decision(decision(), CONTEXT, [intent()])
    assert not ledger.record_decision(decision(), CONTEXT, [intent()])
    assert ledger.decisions().height == ledger.orders().height == 1
    assert ledger.is_decided("s", "BTCUSDT", START)
    assert not ledger.is_decided("s", "BTCUSDT", START + HOUR)


def test_decision_book_and_intents_are_written_together_or_not_at_all(ledger):
    """A broken order leaves no decision behind."""
    ledger.record_decision(decision(), CONTEXT, [intent()])
    with pytest.raises(StoreFailed):
        ledger.record_decision(decision(START + HOUR), CONTEXT, [intent()])  # its id exists
    assert ledger.decisions().height == 1


def test_an_order_reads_back_as_it_was_written(ledger):
    """Every field survives, decimals to the last digit."""
    limit = replace(
        REQUEST,
        type=OrderType.STOP_LOSS_LIMIT,
        price=Decimal("99.10"),
        stop_price=Decimal("99.5"),
        reduces=True,
        reason="stop_loss",
        leg=Leg.STOP,
    )
    ledger.record_decision(decision(), CONTEXT, [intent(limit)])
    assert ledger.order("th-1") == intent(limit)
    assert str(ledger.order("th-1").request.quantity) == "0.10"


def test_an_order_is_settled_when_it_is_final_and_all_is_booked(ledger):
    """Filled at the exchange but not booked here is still open business."""
    ledger.record_decision(decision(), CONTEXT, [intent()])
    ledger.change_order(
        "th-1",
        START,
        status=OrderStatus.FILLED,
        executed_quantity=Decimal("0.1"),
        exchange_order_id="99",
    )
    assert [o.client_order_id for o in ledger.open_orders()] == ["th-1"]
    assert book(ledger, a_fill("7", "0.04"))
    assert len(ledger.open_orders()) == 1
    assert book(ledger, a_fill("8", "0.06"))
    assert ledger.open_orders() == []


def test_a_fill_is_booked_exactly_once(ledger):
    """Unique by symbol and trade id; balances move once."""
    ledger.record_decision(decision(), CONTEXT, [intent()])
    ledger.accept_balance("USDT", Decimal(1000), START, "first sight")
    assert book(ledger, a_fill())
    assert not book(ledger, a_fill())
    assert ledger.fills().height == 1
    assert ledger.expected_balances() == {"USDT": Decimal("989.95")}
    assert ledger.cursor("BTCUSDT") == "7"


def test_changing_an_unknown_order_fails_loudly(ledger):
    """A row that must be there and is not means a damaged ledger."""
    with pytest.raises(StoreFailed, match="expected one order nobody; found 0"):
        ledger.claim(["nobody"], START)


def test_a_lease_excludes_others_until_it_runs_out(ledger, clock):
    """Machine time: a minute later it is free again, with a higher token."""
    first = ledger.acquire_lease("a", MINUTE)
    with pytest.raises(LeaseHeld, match="a trades it until"):
        ledger.acquire_lease("b", MINUTE)
    clock.advance(MINUTE)
    second = ledger.acquire_lease("b", MINUTE)
    assert second.token == first.token + 1


def test_a_lease_given_back_is_free_at_once_and_its_token_stays_used(ledger):
    """Tokens only grow."""
    first = ledger.acquire_lease("a", MINUTE)
    ledger.release_lease(first)
    assert ledger.acquire_lease("b", MINUTE).token == first.token + 1


def test_writes_under_an_old_lease_are_refused(ledger):
    """The fence stands in the same transaction as the write."""
    old = ledger.under(ledger.acquire_lease("a", MINUTE))
    old.save_position(BOOK)
    ledger.acquire_lease("a", MINUTE)
    for write in (
        lambda: old.save_position(replace(BOOK, cash=Decimal(1))),
        lambda: old.record_decision(decision(), CONTEXT, []),
        lambda: old.note(START, "x", {}),
        lambda: old.set_trading_state(TradingState.HALTED, reason="r", author="a"),
    ):
        with pytest.raises(LeaseHeld, match="another tick took over"):
            write()
    assert ledger.position("s", "BTCUSDT") == BOOK


def test_giving_back_a_lost_lease_does_not_disturb_its_new_holder(ledger):
    """Only the newest token can be released."""
    lost = ledger.acquire_lease("a", MINUTE)
    kept = ledger.acquire_lease("a", MINUTE)
    ledger.release_lease(lost)
    ledger.under(kept).save_position(BOOK)
    with pytest.raises(LeaseHeld):
        ledger.acquire_lease("b", MINUTE)


def test_the_trading_state_has_reason_and_author(ledger):
    """ACTIVE at first; every change is told to the audit with what was before."""
    assert ledger.trading_state().state is TradingState.ACTIVE
    ledger.set_trading_state(TradingState.HALTED, reason="look", author="me")
    record = ledger.trading_state()
    assert (record.state, record.reason, record.author, record.since) == (
        TradingState.HALTED,
        "look",
        "me",
        START,
    )
    (event,) = ledger.audit()
    assert event["body"]["before"] == "ACTIVE"


def test_a_champion_is_remembered_and_told_once(ledger):
    """The same champion again is no event."""
    champion = Champion("s.BTCUSDT.1h", ParameterSet("s", {"fast": 5}), "3", "run")
    ledger.remember_champion(champion)
    ledger.remember_champion(champion)
    assert ledger.remembered_champion("s.BTCUSDT.1h") == champion
    assert ledger.remembered_champion("other.BTCUSDT.1h") is None
    assert len(ledger.audit()) == 1


def test_a_book_reads_back_as_it_was_written(ledger):
    """Every field, decimals exact, times aware."""
    full = Position(
        "s",
        "BTCUSDT",
        cash=Decimal("0.10"),
        quantity=Decimal("1E-8"),
        average_price=Decimal(1) / Decimal(3),
        entry_time=START,
        spent=Decimal(1),
        received=Decimal(2),
        realised=Decimal("-3.00"),
        level=0.5,
        blocked=True,
        last_target=1.0,
        high_water=101.25,
        last_bar=START,
        cooldown_until=START + HOUR,
        parameters="fp",
        dust=Decimal("0.0005"),
        bought=Decimal(4),
        bought_quote=Decimal(5),
        sold=Decimal(6),
        sold_quote=Decimal(7),
        fees=Decimal("0.1"),
    )
    ledger.save_position(full)
    assert ledger.positions() == [full]


def test_frames_carry_numbers_and_exact_text(ledger):
    """Float64 to compute with, text to add up."""
    ledger.record_decision(decision(), CONTEXT, [intent()])
    trade = Trade(
        "s",
        "BTCUSDT",
        START,
        START + HOUR,
        Decimal(1),
        Decimal(2),
        Decimal(3),
        Decimal("0.10"),
        Decimal(0),
        "signal",
        "fp",
    )
    book(ledger, a_fill(), trade)
    row = ledger.trades().row(0, named=True)
    assert (row["pnl"], row["pnl_text"]) == (0.1, "0.10")
    assert ledger.trades().schema["exit_time"] == pl.Datetime("us", "UTC")
    assert ledger.fills().row(0, named=True)["fee_text"] == "0.0001"


def test_frames_are_cut_at_since_and_before_until(ledger):
    """Since is included, until is not."""
    for hour in range(4):
        mark = EquityMark(START + hour * HOUR, Decimal(hour), Decimal(hour), Decimal(0))
        ledger.record_tick(mark, {})
    cut = ledger.equity(since=START + HOUR, until=START + 3 * HOUR)
    assert cut["equity"].to_list() == [1.0, 2.0]
    assert ledger.equity(since=START + 9 * HOUR).schema == cut.schema


def test_the_audit_chain_is_whole_and_every_kind_of_damage_shows(file_ledger, tmp_path):
    """Changed, removed, reordered: the first broken row is named."""
    for number in range(5):
        file_ledger.note(START, "event", {"n": number})
    assert file_ledger.verify_audit().rows == 5
    assert file_ledger.verify_audit().whole
    damage = {
        "UPDATE audit SET body = '{\"n\":9}' WHERE seq = 3": 3,
        "DELETE FROM audit WHERE seq = 2": 3,
        "UPDATE audit SET time = time + 1 WHERE seq = 4": 4,
        "UPDATE audit SET previous = hash WHERE seq = 5": 5,
    }
    whole = (tmp_path / "ledger.db").read_bytes()
    assert whole
    for statement, broken_at in damage.items():
        copy = sqlite3.connect(tmp_path / "copy.db")
        source = sqlite3.connect(tmp_path / "ledger.db")
        source.backup(copy)
        copy.execute(statement)
        copy.commit()
        copy.close()
        source.close()
        other = open_ledger(f"sqlite:///{tmp_path / 'copy.db'}")
        assert other.verify_audit().broken_at == broken_at, statement
        other.close()


def test_two_processes_worth_of_writers_keep_one_chain(ledger):
    """Writers queue: no row is lost and no two follow the same one."""

    def write(name: str) -> None:
        own = open_ledger(address(ledger), synchronous="OFF")
        for number in range(20):
            own.note(START, name, {"n": number})
        own.close()

    threads = [threading.Thread(target=write, args=(f"w{i}",)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = ledger.verify_audit()
    assert (verdict.rows, verdict.whole) == (60, True)


def test_sqlite_is_durable_strict_and_lets_readers_read(tmp_path):
    """WAL, synchronous=FULL, STRICT tables: the promise of the house."""
    made = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with made._engine.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        strict = connection.execute(
            text(
                "SELECT count(*) FROM pragma_table_list WHERE strict = 0 AND schema = 'main'"
                " AND name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'"
            )
        ).scalar()
        assert strict == 0
    made.close()


def test_a_reader_sees_the_state_before_a_running_write(ledger):
    """A long write does not lock readers out."""
    ledger.save_position(BOOK)
    with ledger._engine.begin() as writing:
        writing.execute(update(tables.positions).values(level=0.9))
        assert ledger.position("s", "BTCUSDT") == BOOK


def test_reopening_keeps_everything(ledger):
    """Migrations do not touch what is current."""
    ledger.save_position(BOOK)
    again = open_ledger(address(ledger))
    assert again.positions() == [BOOK]
    again.close()


def test_a_folder_that_is_missing_is_one_clear_error(tmp_path):
    """StoreFailed names what to check."""
    with pytest.raises(StoreFailed, match="check its path, rights and disk space"):
        open_ledger(f"sqlite:///{tmp_path / 'no' / 'where' / 'ledger.db'}")


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path):
    """Nothing is overwritten."""
    path = tmp_path / "ledger.db"
    path.write_text("this is a shopping list, not a database at all")
    with pytest.raises(StoreFailed):
        open_ledger(f"sqlite:///{path}")
    assert path.read_text().startswith("this is a shopping list")


@pytest.mark.parametrize("url", ["nonsense", "mysterydb://x/y"])
def test_a_url_that_is_none_is_bad_input(url):
    """The operator corrects the setting."""
    with pytest.raises(BadInput, match="THUNES_LEDGER_URL"):
        open_ledger(url)


@pytest.mark.parametrize("kept", [b"no database at all" * 900, None], ids=["other", "cut short"])
def test_a_damaged_file_is_told_with_the_way_out(tmp_path, kept):
    """Rights and disk space would be the wrong place to look."""
    path = tmp_path / "l.db"
    open_ledger(f"sqlite:///{path}").close()
    path.write_bytes(kept or path.read_bytes()[: path.stat().st_size // 2])
    with (
        pytest.raises(StoreFailed, match="put a backup back, then try again"),
        closing(open_ledger(f"sqlite:///{path}")) as ledger,
    ):
        ledger.verify_audit()
