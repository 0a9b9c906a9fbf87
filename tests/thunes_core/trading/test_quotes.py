"""Symbols of different quote assets: their money cannot be summed, so entries wait."""

from __future__ import annotations

from dataclasses import replace

from tests.thunes_core.trading.test_step import run
from tests.worlds import STUDY, BarsMarket, bars_of, small_world, wave
from thunes_core.domain.instrument import Instrument
from thunes_core.domain.orders import Refusal
from thunes_core.domain.parameters import study_key
from thunes_core.trading.quotes import mixed_quotes


def listed(*pairs: tuple[str, str]) -> dict[str, Instrument]:
    """Return instruments of these bases and quotes."""
    return {base + quote: Instrument(base + quote, base, quote) for base, quote in pairs}


def test_one_quote_asset_and_dollars_among_themselves_may_be_summed():
    """A limit means the same in each."""
    assert mixed_quotes(listed(("BTC", "EUR"), ("ETH", "EUR"))) == ""
    assert mixed_quotes(listed(("BTC", "USDT"), ("ETH", "USDC"))) == ""


def test_bitcoin_and_dollars_may_not_be_summed():
    """The sentence names one symbol of each."""
    said = mixed_quotes(listed(("BTC", "USDT"), ("ETH", "BTC"), ("SOL", "BTC")))
    assert "BTCUSDT in dollars, ETHBTC in BTC; entries wait" in said


class Coins(BarsMarket):
    """A market in which ETHBTC is quoted in BTC."""

    def instruments(self, symbols=None):
        found = super().instruments(symbols)
        coin = {"base_asset": "ETH", "quote_asset": "BTC"}
        return {s: replace(one, **coin) if s == "ETHBTC" else one for s, one in found.items()}


def test_nothing_is_bought_while_the_symbols_do_not_fit_together(tmp_path):
    """A changed setting is told at every tick; what is held may be sold all the same."""
    market = Coins(bars_of(wave()), bars_of([0.05] * 200, "ETHBTC"))
    small = small_world(tmp_path, market)
    bar = next(bar for bar in range(41, 90) if run(small, bar).fills)
    both = replace(small.plan, studies=(STUDY, study_key("sma_crossover", "ETHBTC", "1h")))
    small.plan = both
    reports = [run(small, later) for later in range(bar + 1, bar + 80)]
    assert all(one.notes[0].startswith("symbols: expected one quote") for one in reports)
    assert [str(fill.side) for one in reports for fill in one.fills] == ["SELL"]
    assert Refusal.UNRESOLVED_ORDER in {no.code for one in reports for no in one.refused}
    small.ledger.close()
