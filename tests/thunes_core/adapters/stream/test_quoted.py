"""Prices from the board while it is fresh, from the market else."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.worlds import HOUR, START, BarsMarket, bars_of
from thunes_core.adapters.stream.board import Board
from thunes_core.adapters.stream.quoted import FRESH, QuotedMarket
from thunes_core.clock import to_millis
from thunes_core.domain.bars import Interval

NOW = START + 5 * HOUR


@pytest.fixture
def market():
    """A market that stands at 100 at five o'clock."""
    market = BarsMarket(bars_of([100.0] * 10))
    market.now = NOW
    return market


def quoted(market, tmp_path, age=timedelta(0), **facts):
    """Return the market behind a board that was told a quote so long ago."""
    board = Board(tmp_path / "board", ["BTCUSDT"], "1h")
    board.update("BTCUSDT", heard_ms=to_millis(NOW - age), **facts)
    board.close()
    return QuotedMarket(market, tmp_path / "board")


def test_a_fresh_quote_is_the_price(market, tmp_path):
    """The middle of bid and ask, exactly."""
    both = quoted(market, tmp_path, bid=100.1, ask=100.2)
    both.server_time()
    assert both.price("BTCUSDT") == Decimal("100.15")


@pytest.mark.parametrize("age", [FRESH + timedelta(seconds=1), -FRESH - timedelta(seconds=1)])
def test_an_old_quote_is_not_believed(market, tmp_path, age):
    """Nor one from another clock: the market tells."""
    both = quoted(market, tmp_path, age, bid=1.0, ask=2.0)
    both.server_time()
    assert both.price("BTCUSDT") == Decimal("100.0")


def test_before_the_clock_is_known_the_market_tells(market, tmp_path):
    """The board's age cannot be judged yet."""
    assert quoted(market, tmp_path, bid=1.0, ask=2.0).price("BTCUSDT") == Decimal("100.0")


def test_half_a_quote_no_board_and_a_stranger_are_no_price(market, tmp_path):
    """All of them are the market's to answer."""
    both = quoted(market, tmp_path, bid=1.0)
    both.server_time()
    assert both.price("BTCUSDT") == Decimal("100.0")
    (tmp_path / "board").unlink()
    assert both.price("BTCUSDT") == Decimal("100.0")
    Board(tmp_path / "board", ["ETHUSDT"], "1h").close()
    assert both.price("BTCUSDT") == Decimal("100.0")


def test_everything_else_is_the_market_s(market, tmp_path):
    """Clock, instruments and bars pass through."""
    both = quoted(market, tmp_path)
    assert both.server_time() == NOW
    assert both.instruments(["BTCUSDT"]) == market.instruments(["BTCUSDT"])
    window = ("BTCUSDT", Interval.H1, START, NOW)
    assert both.klines(*window).equals(market.klines(*window))
