"""An answer of the ledger is always what a fresh read would find, remembered or not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from tests.databases import LEDGERS, fresh_url
from thunes_core.adapters.ledger import Ledger, open_ledger
from thunes_core.adapters.ledger.answers import Answers
from thunes_core.adapters.ledger.connect import connect
from thunes_core.domain.portfolio import Position, TradingState
from thunes_core.errors import StoreFailed

BOOK = Position("sma_crossover", "BTCUSDT", cash=Decimal(1000))


@pytest.fixture(params=LEDGERS)
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Ledger, Ledger]]:
    """Two ledgers on one database, as two processes have them."""
    with (
        fresh_url(request.param, tmp_path) as url,
        closing(open_ledger(url, synchronous="OFF")) as one,
        closing(open_ledger(url, synchronous="OFF")) as other,
    ):
        yield one, other


@contextmanager
def asking(engine: Engine) -> Iterator[Answers]:
    """What answers of a database; all its connections are closed in the end."""
    answers = Answers(engine)
    yield answers
    answers.close()
    engine.dispose()


def counted(asked: list[str]) -> Callable[[Connection, str], str]:
    """Return a question that notes each time it really reaches the database."""

    def question(connection: Connection, given: str) -> str:
        asked.append(given)
        found: str = connection.execute(text(f"SELECT '{given}'")).scalar_one()
        return found

    return question


def test_what_another_process_wrote_is_seen_by_the_next_question(two):
    """A book and a state changed elsewhere are never answered from memory."""
    one, other = two
    for cash in range(3):
        other.save_position(Position("sma_crossover", "BTCUSDT", cash=Decimal(cash)))
        assert [book.cash for book in one.positions()] == [cash]
        assert one.position("sma_crossover", "BTCUSDT") == other.positions()[0]
    other.set_trading_state(TradingState.HALTED, reason="look", author="a person")
    assert one.trading_state().state is TradingState.HALTED


def test_what_was_written_here_is_seen_by_the_next_question(two):
    """Our own writes count as changes too, under a lease or not."""
    one, _ = two
    assert one.position("sma_crossover", "BTCUSDT") is None
    one.save_position(BOOK)
    assert one.position("sma_crossover", "BTCUSDT") == BOOK


def test_a_question_is_asked_again_only_when_something_was_committed(tmp_path):
    """Every change forgets every answer, and nothing else does."""
    url, asked = f"sqlite:///{tmp_path / 'ledger.db'}", list[str]()
    with closing(open_ledger(url)) as writer, asking(connect(url)) as answers:
        question = counted(asked)
        for _ in range(3):
            assert answers.ask(question, "a") == "a"
        assert answers.ask(question, "b") == "b"
        assert asked == ["a", "b"]
        writer.save_position(BOOK)
        assert answers.ask(question, "a") == "a"
        assert asked == ["a", "b", "a"]


def test_a_database_in_memory_is_asked_every_time():
    """There one connection writes and reads, and no change would be told."""
    asked = list[str]()
    question = counted(asked)
    with asking(create_engine("sqlite://")) as answers:
        assert [answers.ask(question, "a") for _ in range(2)] == ["a", "a"]
    assert asked == ["a", "a"]


def test_what_a_caller_does_to_a_list_changes_no_answer(tmp_path):
    """Each caller gets a list of its own."""
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        ledger.save_position(BOOK)
        ledger.positions().clear()
        assert ledger.positions() == [BOOK]


def test_after_a_failure_the_next_question_finds_the_database_again(tmp_path):
    """A failed question is `StoreFailed`, and leaves no broken connection behind."""
    url, asked = f"sqlite:///{tmp_path / 'ledger.db'}", list[str]()

    def wrong(connection: Connection) -> None:
        connection.execute(text("SELECT 1 FROM nowhere"))

    with asking(connect(url)) as answers:
        with pytest.raises(StoreFailed, match="no such table"):
            answers.ask(wrong)
        assert answers.ask(counted(asked), "a") == "a"


def test_several_threads_may_ask_at_once(tmp_path):
    """Questions queue; none is lost or mixed up."""
    found, question = list[str](), counted([])
    names = [f"n{number}" for number in range(40)]
    with asking(connect(f"sqlite:///{tmp_path / 'ledger.db'}")) as answers:
        threads = [
            threading.Thread(target=lambda name=name: found.append(answers.ask(question, name)))
            for name in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == sorted(names)
