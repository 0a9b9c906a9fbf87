"""A question to the exchange whose connection breaks: nothing is lost, nothing is sent blindly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import stamina

from tests.crash.trials import BUY_AT, SELL_AT, assert_ledger_is_the_exchange
from tests.wire.proxy import Break
from tests.wire.trials import STOP, Trial, trial_in
from thunes_core.errors import ExchangeUnavailable

ATTEMPTS = 2
OPEN_ORDERS = "GET /api/v3/openOrders"
READS = {
    "trades": ("GET /api/v3/myTrades", 1),
    "trades_after_the_order": ("GET /api/v3/myTrades", 2),
    "balances": ("GET /api/v3/account", 1),
    "open_orders": (OPEN_ORDERS, 1),
    "order_after_the_list": ("GET /api/v3/order", 1),
    "clock": ("GET /api/v3/time", 1),
    "bars": ("GET /api/v3/klines", 1),
    "price": ("GET /api/v3/ticker/price", 1),
}
BREAKS = (Break.RESET_BEFORE, Break.SWALLOW, Break.HALF)


@pytest.fixture()
def trial(tmp_path: Path) -> Iterator[Trial]:
    """Put unmodified clients behind a wire; a read that fails is repeated once, at once."""
    with trial_in(tmp_path) as made, stamina.set_testing(True, attempts=ATTEMPTS):
        made.protection, made.broker.entry_lists = STOP, ("OPO",)
        yield made


@pytest.mark.parametrize("kind", BREAKS)
@pytest.mark.parametrize(("request_", "nth"), READS.values(), ids=READS)
def test_a_read_that_fails_for_good_costs_a_tick_at_most(trial, request_, nth, kind):
    """The next ticks find all that was done, protect it and sell it; one order per decision."""
    trial.tick(41)
    trial.wire.strike(kind, request_, nth, times=ATTEMPTS)
    with suppress(ExchangeUnavailable):
        trial.tick(BUY_AT)
    assert trial.wire.is_over()
    assert trial.wire.struck == [request_] * ATTEMPTS
    assert trial.is_honest()
    assert trial.is_guarded()
    trial.tick(BUY_AT, 1)
    assert trial.decided() == ["BUY"]
    assert trial.is_guarded()
    assert_ledger_is_the_exchange(trial.ledger, trial.net)
    trial.tick(SELL_AT)
    assert trial.decided() == ["BUY", "SELL"]
    assert trial.resting() == []
    assert_ledger_is_the_exchange(trial.ledger, trial.net)


def test_while_nobody_answers_what_became_of_an_order_none_is_sent(trial):
    """It stays unknown over bars that would sell, and is settled when it can be asked after."""
    trial.wire.strike(Break.SWALLOW, "POST /api/v3/orderList/opo")
    trial.tick(BUY_AT)
    trial.wire.strike(Break.RESET_BEFORE, OPEN_ORDERS, times=2 * ATTEMPTS)
    for bar in (SELL_AT, SELL_AT + 1):
        with pytest.raises(ExchangeUnavailable):
            trial.tick(bar)
        in_doubt = [one for one in trial.ledger.open_orders() if one.status.is_in_flight]
        assert len(in_doubt) == 2
        assert trial.decided() == ["BUY"]
        assert trial.is_guarded()
    trial.tick(SELL_AT + 1, 1)
    assert trial.decided() == ["BUY", "SELL"]
    assert_ledger_is_the_exchange(trial.ledger, trial.net)
