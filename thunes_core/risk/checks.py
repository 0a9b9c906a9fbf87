"""The checks of the gate: each returns None, or the sentence that says why not.

An order that reduces is asked the checks of `ALWAYS` only: an exit is never refused by a loss
limit, a cool-down, a breaker or a freshness check (semantics §7).

Add here: a check, and its line in `ALWAYS` or `ENTRIES`. Keep out: state, stores, what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from thunes_core.domain.filters import NOTHING_OPEN, broken_filter
from thunes_core.domain.orders import OrderRequest, Refusal
from thunes_core.domain.portfolio import TradingState
from thunes_core.risk.facts import RiskFacts

Check = Callable[[OrderRequest, RiskFacts], str | None]


def value_of(request: OrderRequest, facts: RiskFacts) -> Decimal:
    """Return what the order is worth at its own price, or at the latest one; quote units."""
    return request.quantity * (request.price or request.stop_price or facts.price)


def halted(_request: OrderRequest, facts: RiskFacts) -> str | None:
    """HALTED lets nothing through: cancels only."""
    if facts.state.state is not TradingState.HALTED:
        return None
    return f"trading is HALTED by {facts.state.author}: {facts.state.reason}"


def filters(request: OrderRequest, facts: RiskFacts) -> str | None:
    """The exchange's filters: an order that breaks one cannot exist."""
    if request.quantity <= 0:
        return f"LOT_SIZE: nothing is left after rounding to {facts.instrument.step_size}"
    standing = NOTHING_OPEN if request.reduces else facts.standing
    return broken_filter(request, facts.instrument, facts.price, standing)


def reducing(_request: OrderRequest, facts: RiskFacts) -> str | None:
    """REDUCING lets through only what reduces."""
    if facts.state.state is not TradingState.REDUCING:
        return None
    return f"trading is REDUCING by {facts.state.author}: {facts.state.reason}"


def armed(_request: OrderRequest, facts: RiskFacts) -> str | None:
    """Real money needs arming."""
    return None if facts.armed else "orders on this exchange need arming: run `thunes arm`"


def breaker(_request: OrderRequest, facts: RiskFacts) -> str | None:
    """After repeated failures nothing new is begun."""
    return "the breaker is open after repeated failures" if facts.breaker_open else None


def trading_status(_request: OrderRequest, facts: RiskFacts) -> str | None:
    """The symbol itself must be trading: an exit tried in vain would cost its protection."""
    status = facts.instrument.status
    return None if status == "TRADING" else f"{facts.instrument.symbol} is in status {status}"


def unresolved(request: OrderRequest, facts: RiskFacts) -> str | None:
    """What is unknown on a symbol blocks new entries there."""
    return facts.unresolved.get(request.symbol)


def stale_bar(_request: OrderRequest, facts: RiskFacts) -> str | None:
    """Only a fresh bar is entered on."""
    return "the newest closed bar is older than one interval and the grace" if facts.stale else None


def bad_bars(_request: OrderRequest, facts: RiskFacts) -> str | None:
    """Flagged bars hold back entries."""
    return facts.bad_bars or None


def cool_down(request: OrderRequest, facts: RiskFacts) -> str | None:
    """A losing trade is followed by a pause."""
    book = facts.book(request.symbol)
    if book is None or book.cooldown_until is None or facts.now >= book.cooldown_until:
        return None
    return f"cooling down after a loss until {book.cooldown_until.isoformat()}"


def max_positions(request: OrderRequest, facts: RiskFacts) -> str | None:
    """Only so many books are open at once; adding to an open one is no new one."""
    book = facts.book(request.symbol)
    if book is not None and book.is_open:
        return None
    held = len(facts.open_books - {(facts.strategy, request.symbol)})
    if held < facts.limits.max_positions:
        return None
    return f"{held} positions are open, {facts.limits.max_positions} are allowed"


def order_notional(request: OrderRequest, facts: RiskFacts) -> str | None:
    """One order is only so big."""
    return _above("the order", value_of(request, facts), facts.limits.max_order_notional)


def symbol_exposure(request: OrderRequest, facts: RiskFacts) -> str | None:
    """One symbol holds only so much."""
    then = facts.exposure(request.symbol) + value_of(request, facts)
    return _above(f"exposure in {request.symbol}", then, facts.limits.max_symbol_exposure)


def total_exposure(request: OrderRequest, facts: RiskFacts) -> str | None:
    """All symbols together hold only so much."""
    then = facts.exposure() + value_of(request, facts)
    return _above("total exposure", then, facts.limits.max_total_exposure)


def correlated_exposure(request: OrderRequest, facts: RiskFacts) -> str | None:
    """Symbols that move alike hold only so much together."""
    limits = facts.limits
    if not limits.max_correlated_exposure:
        return None
    alike = {s for s, how in facts.correlations.items() if how >= limits.correlation_threshold}
    held = sum((facts.exposure(symbol) for symbol in alike | {request.symbol}), Decimal(0))
    what = f"exposure in what moves like {request.symbol}"
    return _above(what, held + value_of(request, facts), limits.max_correlated_exposure)


def order_rate(_request: OrderRequest, facts: RiskFacts) -> str | None:
    """Only so many entries are sent in an hour."""
    most = facts.limits.max_entries_per_hour
    if not most or facts.entries_last_hour < most:
        return None
    return f"{facts.entries_last_hour} entries were sent within the hour, {most} are allowed"


def price_band(request: OrderRequest, facts: RiskFacts) -> str | None:
    """The price entered at must be near the close decided on."""
    band, close = facts.limits.price_band, facts.bar_close
    price = request.price or facts.price
    if not band or not close or abs(price - close) <= band * close:
        return None
    return f"{price:f} is more than {band:.2%} away from the close of {close:f} decided on"


def stop_out_guard(_request: OrderRequest, facts: RiskFacts) -> str | None:
    """After so many losing protective exits nothing is entered for a while."""
    limits = facts.limits
    if not limits.max_stop_outs or facts.stop_outs < limits.max_stop_outs:
        return None
    return (
        f"{facts.stop_outs} positions were stopped out at a loss within {limits.stop_out_hours} h, "
        f"{limits.max_stop_outs} are allowed"
    )


def balance(request: OrderRequest, facts: RiskFacts) -> str | None:
    """The account must hold what the order would spend, without fees."""
    asset = facts.instrument.quote_asset
    free, needed = facts.account.free(asset), value_of(request, facts)
    return None if needed <= free else f"needs {needed} {asset}, {free} are free"


def _above(what: str, value: Decimal, limit: Decimal) -> str | None:
    return f"{what} would be {value:f}, {limit:f} is allowed" if value > limit else None


ALWAYS: tuple[tuple[Refusal, Check], ...] = (
    (Refusal.HALTED, halted),
    (Refusal.FILTER, trading_status),
    (Refusal.FILTER, filters),
)
"""Asked of every order: what makes it impossible."""

ENTRIES: tuple[tuple[Refusal, Check], ...] = (
    (Refusal.REDUCING, reducing),
    (Refusal.NOT_ARMED, armed),
    (Refusal.BREAKER_OPEN, breaker),
    (Refusal.UNRESOLVED_ORDER, unresolved),
    (Refusal.STALE_BAR, stale_bar),
    (Refusal.BAD_BARS, bad_bars),
    (Refusal.COOL_DOWN, cool_down),
    (Refusal.MAX_POSITIONS, max_positions),
    (Refusal.ORDER_NOTIONAL, order_notional),
    (Refusal.SYMBOL_EXPOSURE, symbol_exposure),
    (Refusal.TOTAL_EXPOSURE, total_exposure),
    (Refusal.CORRELATED_EXPOSURE, correlated_exposure),
    (Refusal.ORDER_RATE, order_rate),
    (Refusal.PRICE_BAND, price_band),
    (Refusal.STOP_OUT_GUARD, stop_out_guard),
    (Refusal.INSUFFICIENT_BALANCE, balance),
)
"""Asked besides of every order that increases."""
