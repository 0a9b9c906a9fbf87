"""From the target exposure of the newest closed bar to the one order it asks for. Pure.

The arithmetic is that of the backtest (`rules`), in the same order; floats become Decimal in one
place, where an order begins to exist.

Add here: a step of deciding. Keep out: whether the order may be sent (risk), sending it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from thunes_core.clock import to_millis
from thunes_core.domain.bars import Interval
from thunes_core.domain.instrument import Instrument, floor_to_step, largest
from thunes_core.domain.limits import Costs
from thunes_core.domain.orders import Leg, OrderRequest, OrderType, Side, client_order_id
from thunes_core.domain.portfolio import Position
from thunes_core.domain.signal import Decision
from thunes_core.trading import rules
from thunes_core.trading.protect import NO_EXIT


@dataclass(frozen=True, slots=True)
class View:
    """What a decision sees: the newest closed `bar` (its open time, UTC) and the world around it.

    `targets` are the strategy's exposures from the bar before the first undecided one to `bar`;
    `price` is the latest traded price; `exit_reason` a protective reason to leave, or empty;
    `parameters` the fingerprint of the set that made the targets.
    """

    interval: Interval
    bar: datetime
    targets: Sequence[float]
    price: Decimal
    instrument: Instrument
    costs: Costs
    exit_reason: str = NO_EXIT
    parameters: str = ""


def decide(position: Position, view: View) -> Decision:
    """Return the decision of `view.bar` for one book."""
    target = view.targets[-1]
    previous = view.targets[-2] if len(view.targets) > 1 else position.last_target
    blocked = position.blocked and _unchanged(position.last_target, view.targets)
    seen = replace(
        position,
        blocked=blocked,
        last_target=target,
        last_bar=view.bar,
        parameters=view.parameters,
    )
    wanted = _desired(seen, target, view)
    request, why = _request(seen, wanted, view)
    return Decision(
        strategy=position.strategy,
        symbol=position.symbol,
        bar=view.bar,
        target=target,
        previous_target=previous,
        orders=(request,) if request else (),
        position=seen,
        why=why,
    )


def exit_request(
    position: Position,
    bar: datetime,
    instrument: Instrument,
    reason: str,
    price: Decimal,
    attempt: int = 0,
) -> OrderRequest:
    """Return the order that sells all of a book at once, or as much as one market order may.

    What is left over is sold by the next attempt: an exit larger than the exchange's maximum, which
    moves with the volume, must not be refused whole.
    """
    leg = Leg.EXIT if reason == rules.REASONS[rules.SIGNAL] else Leg.STOP
    sold = min([position.quantity, *largest(instrument, price)])
    quantity = floor_to_step(sold, instrument.step_size)
    return _market(position, bar, Side.SELL, quantity, leg, reason, 0.0, attempt)


def lots(value: float, instrument: Instrument) -> Decimal:
    """Turn a float quantity into the Decimal of an order: down to a step, 1e-9 of it forgiven.

    The one place where floats become Decimal.
    """
    step = instrument.step_size
    if step <= 0:
        return Decimal(repr(value)).quantize(
            Decimal(1).scaleb(-instrument.base_precision), rounding=ROUND_DOWN
        )
    whole = rules.floor_step(value / float(step), 1.0)
    return Decimal(int(whole)) * step


def _unchanged(last_target: float, targets: Sequence[float]) -> bool:
    return all(target == last_target for target in targets)


def _desired(position: Position, target: float, view: View) -> float:
    opens_at = view.bar + view.interval.duration
    until = position.cooldown_until
    cooling = until is not None and rules.is_cooling(to_millis(opens_at), to_millis(until))
    return rules.desired_exposure(target, position.level, position.blocked, cooling)


def _request(position: Position, desired: float, view: View) -> tuple[OrderRequest | None, str]:
    if position.is_open and desired == 0.0:
        reason = rules.REASONS[rules.SIGNAL]
        leave = exit_request(position, view.bar, view.instrument, reason, view.price)
        return leave, "target 0: sell all"
    if position.is_open and view.exit_reason:
        leave = exit_request(position, view.bar, view.instrument, view.exit_reason, view.price)
        return leave, f"{view.exit_reason}: sell all"
    if desired > position.level:
        return _increase(position, desired, view), f"target {desired:g}: buy up to it"
    if 0.0 < desired < position.level:
        return _reduce(position, desired, view), f"target {desired:g}: sell down to it"
    return None, _why_nothing(position, desired)


def _increase(position: Position, desired: float, view: View) -> OrderRequest:
    price, held = float(view.price), float(position.holding)
    wanted = rules.wanted_buy(
        desired,
        float(position.cash) + held * price,
        held * price,
        rules.buy_price(price, view.costs.slippage),
        view.costs.taker_fee,
    )
    quantity = max(lots(wanted, view.instrument), Decimal(0))
    return _market(position, view.bar, Side.BUY, quantity, Leg.ENTRY, "signal", desired)


def _reduce(position: Position, desired: float, view: View) -> OrderRequest:
    """Return the sale down to `desired`, or of as much as one order may carry.

    The level is reached by the last part: until then each bar asks for the next one.
    """
    price, held = float(view.price), float(position.quantity)
    equity = float(position.cash) + held * price
    whole = lots(rules.wanted_sell(desired, equity, held, price), view.instrument)
    part = min([whole, *largest(view.instrument, view.price)])
    level = desired if part == whole else position.level
    quantity = max(floor_to_step(part, view.instrument.step_size), Decimal(0))
    return _market(position, view.bar, Side.SELL, quantity, Leg.REDUCE, "signal", level)


def _market(
    position: Position,
    bar: datetime,
    side: Side,
    quantity: Decimal,
    leg: Leg,
    reason: str,
    level: float,
    attempt: int = 0,
) -> OrderRequest:
    return OrderRequest(
        symbol=position.symbol,
        side=side,
        type=OrderType.MARKET,
        quantity=quantity,
        client_order_id=client_order_id(position.strategy, position.symbol, bar, leg, attempt),
        leg=leg,
        reason=reason,
        reduces=side is Side.SELL,
        level=level,
    )


def _why_nothing(position: Position, desired: float) -> str:
    if position.blocked:
        return "blocked after a protective exit until the target changes"
    if position.cooldown_until is not None and desired == position.level == 0.0:
        return f"exposure stays {desired:g} (flat or cooling down)"
    return f"exposure stays {desired:g}"
