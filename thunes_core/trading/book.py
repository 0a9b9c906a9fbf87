"""What one fill does to a book: cash, quantity, fees, and the trade it closes. Pure, in Decimal.

A buy's fee in the base asset reduces what is held; any other fee reduces cash by its value. What an
exit cannot sell (below a step or the minima) stays in the book as dust.

Add here: arithmetic of positions. Keep out: stores, the exchange, deciding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from thunes_core.domain.bars import Interval
from thunes_core.domain.instrument import Instrument
from thunes_core.domain.orders import ZERO, Fill, OrderRequest, Side
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord, Trade

SIGNAL, ACCEPTED = "signal", "accepted"
_PRICE_DIGITS = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Booked:
    """A book after a fill, and the trade that the fill closed, if any."""

    position: Position
    trade: Trade | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What booking needs besides the fill: instrument, cool-down length, the study's interval."""

    instrument: Instrument
    cooldown: timedelta = timedelta(0)
    interval: Interval | None = None


def fee_in_quote(fill: Fill, instrument: Instrument, fee_price: Decimal | None) -> Decimal:
    """Value a fill's fee in the quote asset; `fee_price` is the price of a third fee asset."""
    if fill.fee_asset == instrument.quote_asset:
        return fill.fee
    if fill.fee_asset == instrument.base_asset:
        return fill.fee * fill.price
    return fill.fee * (fee_price or ZERO)


def moved(fill: Fill, instrument: Instrument) -> dict[str, Decimal]:
    """Return by how much the fill changes the account's total of each asset."""
    sign = 1 if fill.side is Side.BUY else -1
    changes = {instrument.base_asset: sign * fill.quantity}
    changes[instrument.quote_asset] = -sign * fill.quote
    changes[fill.fee_asset] = changes.get(fill.fee_asset, ZERO) - fill.fee
    return changes


def book_fill(
    position: Position, fill: Fill, record: OrderRecord, fee_quote: Decimal, terms: Terms
) -> Booked:
    """Apply one fill of `record` to its book."""
    if fill.side is Side.BUY:
        return Booked(_buy(position, fill, record.request, fee_quote, terms.instrument))
    sold = _sell(position, fill, fee_quote, terms.instrument)
    if sold.quantity >= max(terms.instrument.step_size, Decimal("1e-18")):
        blocked = position.blocked or _is_protective(record)
        return Booked(replace(sold, level=record.request.level, blocked=blocked))
    return close(sold, record, fill.time, terms)


def close_if_dust(position: Position, record: OrderRecord, price: Decimal, terms: Terms) -> Booked:
    """Close the trade of a finished exit whose remainder is below the exchange's minima."""
    least, notional = terms.instrument.min_quantity, terms.instrument.min_notional
    too_small = position.quantity < least or position.quantity * price < notional
    if position.is_open and record.request.level == 0.0 and position.sold > 0 and too_small:
        return close(position, record, record.updated_at or record.intended_at, terms)
    return Booked(position)


def close(position: Position, record: OrderRecord, at: datetime, terms: Terms) -> Booked:
    """Turn a sold-out book flat: its trade, its dust, its cool-down and its block.

    A protective exit blocks with its first fill, so that a rest is sold and never bought back.
    """
    protects = _is_protective(record)
    ended = _exit_time(record, at, terms.interval, protects)
    return _closed(position, record.request.reason, at, ended + terms.cooldown, blocks=protects)


def write_off(
    position: Position, quantity: Decimal, price: Decimal, at: datetime, terms: Terms
) -> Booked:
    """Take `quantity` out of a book, as if sold at `price` without a fee; at most its holding.

    A book of which too little for a step is left is closed, and blocked until the target changes:
    who took its coins away does not want them bought back at once.
    """
    sold = min(quantity, position.quantity)
    left = replace(
        position,
        cash=position.cash + quantity * price,
        quantity=position.quantity - sold,
        dust=position.dust - (quantity - sold),
        received=position.received + sold * price,
        sold=position.sold + sold,
        sold_quote=position.sold_quote + sold * price,
    )
    if not sold or left.quantity >= max(terms.instrument.step_size, Decimal("1e-18")):
        return Booked(left)
    return _closed(left, ACCEPTED, at, at + terms.cooldown, blocks=True)


def _closed(
    position: Position, reason: str, at: datetime, cooldown_until: datetime, *, blocks: bool
) -> Booked:
    """Return the flat book and its trade; a losing one begins the cool-down."""
    pnl = position.received - position.spent
    trade = Trade(
        strategy=position.strategy,
        symbol=position.symbol,
        entry_time=position.entry_time or at,
        exit_time=at,
        entry_price=_ratio(position.bought_quote, position.bought),
        exit_price=_ratio(position.sold_quote, position.sold),
        quantity=position.bought,
        pnl=pnl,
        fees=position.fees,
        reason=reason,
        parameters=position.parameters,
    )
    flat = Position(
        strategy=position.strategy,
        symbol=position.symbol,
        cash=position.cash,
        dust=position.dust + position.quantity,
        realised=position.realised + pnl,
        blocked=position.blocked or blocks,
        last_target=position.last_target,
        last_bar=position.last_bar,
        cooldown_until=cooldown_until if pnl < 0 else position.cooldown_until,
        parameters=position.parameters,
    )
    return Booked(flat, trade)


def _is_protective(record: OrderRecord) -> bool:
    return record.request.reason != SIGNAL


def _buy(
    position: Position, fill: Fill, request: OrderRequest, fee_quote: Decimal, of: Instrument
) -> Position:
    in_base = fill.fee_asset == of.base_asset
    received = fill.quantity - (fill.fee if in_base else ZERO)
    paid = fill.quote + (ZERO if in_base else fee_quote)
    bought, bought_quote = position.bought + fill.quantity, position.bought_quote + fill.quote
    opens = not position.is_open
    return replace(
        position,
        cash=position.cash - paid,
        quantity=position.holding + received,
        dust=ZERO,
        spent=position.spent + paid,
        bought=bought,
        bought_quote=bought_quote,
        average_price=bought_quote / bought,
        fees=position.fees + fee_quote,
        entry_time=fill.time if opens else position.entry_time,
        high_water=float(fill.price) if opens else position.high_water,
        level=request.level,
    )


def _sell(position: Position, fill: Fill, fee_quote: Decimal, of: Instrument) -> Position:
    in_base = fill.fee_asset == of.base_asset
    gained = fill.quote - (ZERO if in_base else fee_quote)
    return replace(
        position,
        cash=position.cash + gained,
        quantity=position.quantity - fill.quantity - (fill.fee if in_base else ZERO),
        received=position.received + gained,
        sold=position.sold + fill.quantity,
        sold_quote=position.sold_quote + fill.quote,
        fees=position.fees + fee_quote,
    )


def _ratio(quote: Decimal, quantity: Decimal) -> Decimal:
    return (quote / quantity).quantize(_PRICE_DIGITS).normalize() if quantity else ZERO


def _exit_time(
    record: OrderRecord, at: datetime, interval: Interval | None, is_protective: bool
) -> datetime:
    """Place an exit on the grid of §3: at the open it was decided for, or its bar's end."""
    if interval is None:
        return at
    if not is_protective:
        return record.bar + interval.duration
    floor = interval.floor(at)
    return floor if floor == at else floor + interval.duration
