"""Money: what an order holds, what a fill costs, who gets the fee.

Fill prices keep eight decimals (a slipped price is not rounded to the tick), and the quote side of
a trade is exactly price × quantity: every figure adds up to the last digit. With `FillPrice.TICK`
prices are rounded to the tick against the taker, as a real book would have it.

Add here: another rule of what a fill costs. Keep out: when it happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

from thunes_core.domain.limits import Costs
from thunes_core.domain.orders import Side
from thunes_core.testnet.market import Market
from thunes_core.testnet.orders import ExchangeOrder, NewOrder, Trade
from thunes_core.testnet.records import Records
from thunes_core.testnet.refusals import insufficient_balance
from thunes_core.testnet.wallet import ZERO, Wallet

EIGHT = Decimal("1e-8")
BNB_DISCOUNT = Decimal("0.75")
BNB_PRICE = Decimal(600)


class FeeAsset(StrEnum):
    """What fees are paid in: what is received (as Binance), always quote, or BNB."""

    BASE = "base"
    QUOTE = "quote"
    BNB = "bnb"


class FillPrice(StrEnum):
    """How a taker's slipped price is rounded."""

    EXACT = "exact"
    TICK = "tick"


DIGITS = 12
"""Of a price below 1 whose slippage must not be lost in rounding."""


def _finer(price: Decimal) -> Decimal:
    return Decimal(1).scaleb(min(-8, price.adjusted() + 1 - DIGITS))


@dataclass(frozen=True, slots=True)
class Terms:
    """Fees and slippage as fractions, and how they are charged."""

    taker_fee: Decimal = Decimal("0.001")
    maker_fee: Decimal = Decimal("0.001")
    slippage: Decimal = Decimal("0.0005")
    fee_asset: FeeAsset = FeeAsset.BASE
    fill_price: FillPrice = FillPrice.EXACT


def terms_of(
    costs: Costs,
    fee_asset: FeeAsset | str = FeeAsset.BASE,
    fill_price: FillPrice | str = FillPrice.EXACT,
) -> Terms:
    """Return the terms that charge `costs`; the rates keep the decimals they are written with."""
    return Terms(
        Decimal(str(costs.taker_fee)),
        Decimal(str(costs.maker_fee)),
        Decimal(str(costs.slippage)),
        FeeAsset(fee_asset),
        FillPrice(fill_price),
    )


class Settlement:
    """Moves the account's money as orders are placed, filled and ended."""

    def __init__(self, market: Market, wallet: Wallet, records: Records, terms: Terms) -> None:
        self._market = market
        self._wallet = wallet
        self._records = records
        self.terms = terms

    def taker_price(self, symbol: str, side: Side, price: Decimal) -> Decimal:
        """Return what a taker gets when the last price is `price`: worse by the slippage."""
        sign = 1 if side is Side.BUY else -1
        slipped = price * (1 + sign * self.terms.slippage)
        if self.terms.fill_price is FillPrice.EXACT:
            return max(slipped.quantize(EIGHT if slipped >= 1 else _finer(slipped)), EIGHT)
        tick = self._market.listing(symbol).tick
        rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
        return max((slipped / tick).to_integral_value(rounding=rounding) * tick, tick)

    def needed(
        self, asked: NewOrder, quantity: Decimal, last_price: Decimal
    ) -> tuple[str, Decimal]:
        """Return the asset and amount that an order must be able to pay."""
        listing = self._market.listing(asked.symbol)
        if asked.side is Side.SELL:
            return listing.base, quantity
        price = asked.price or self.taker_price(
            asked.symbol, Side.BUY, asked.stop_price or last_price
        )
        return listing.quote, price * quantity * (1 + self._quote_fee())

    def _quote_fee(self) -> Decimal:
        if self.terms.fee_asset is not FeeAsset.QUOTE:
            return ZERO
        return max(self.terms.taker_fee, self.terms.maker_fee)

    def can_pay(self, asset: str, amount: Decimal) -> bool:
        """True when `amount` of `asset` is free."""
        return self._wallet.free(asset) >= amount

    def require_payable(self, asset: str, amount: Decimal) -> None:
        """Refuse with -2010 unless `amount` of `asset` is free."""
        if not self.can_pay(asset, amount):
            raise insufficient_balance()

    def hold(self, order: ExchangeOrder, asset: str, amount: Decimal) -> None:
        """Hold `amount` of `asset` for `order`."""
        self._wallet.hold(asset, amount)
        order.held_asset, order.held = asset, amount

    def hold_more(self, order: ExchangeOrder, asset: str, amount: Decimal) -> None:
        """Hold `amount` of `asset` for `order` besides what it holds of it already."""
        self._wallet.hold(asset, amount)
        order.held_asset, order.held = asset, order.held + amount

    def pass_hold(self, giver: ExchangeOrder, taker: ExchangeOrder) -> None:
        """Let `taker` stand on what `giver` holds: the two legs of a list hold once."""
        if giver.held:
            taker.held_asset, taker.held = giver.held_asset, giver.held
            giver.held = ZERO

    def release(self, order: ExchangeOrder) -> None:
        """Free what `order` still holds."""
        if order.held:
            self._wallet.release(order.held_asset, order.held)
            order.held = ZERO

    def affordable(self, order: ExchangeOrder, price: Decimal, quantity: Decimal) -> bool:
        """True when `order` can pay for `quantity` at `price`, what it holds for it included."""
        listing = self._market.listing(order.symbol)
        if not order.is_buy:
            asset, amount = listing.base, quantity
        else:
            fee = self.terms.taker_fee if self.terms.fee_asset is FeeAsset.QUOTE else ZERO
            asset, amount = listing.quote, price * quantity * (1 + fee)
        own = self._share(order, quantity) if order.held_asset == asset else ZERO
        return self._wallet.free(asset) + own >= amount

    def book(
        self,
        order: ExchangeOrder,
        price: Decimal,
        quantity: Decimal,
        time_ms: int,
        *,
        is_maker: bool,
        is_allocation: bool = False,
    ) -> Trade:
        """Execute `quantity` of `order` at `price`: move the money and record the trade."""
        listing = self._market.listing(order.symbol)
        quote = price * quantity
        self.release_share(order, quantity)
        if order.is_buy:
            self._wallet.add(listing.base, quantity)
            self._wallet.add(listing.quote, -quote)
        else:
            self._wallet.add(listing.quote, quote)
            self._wallet.add(listing.base, -quantity)
        fee, fee_asset = self._fee(order, quantity, quote, time_ms, is_maker=is_maker)
        self._wallet.add(fee_asset, -fee)
        allocation = self._records.next_allocation_id(order.symbol) if is_allocation else None
        trade = Trade(
            order.symbol,
            -1 if is_allocation else self._records.next_trade_id(order.symbol),
            order.order_id,
            order.list_id,
            price,
            quantity,
            quote,
            fee,
            fee_asset,
            time_ms,
            order.is_buy,
            is_maker,
            allocation,
        )
        order.executed += quantity
        order.quote += quote
        self._records.add_trade(order, trade)
        return trade

    def release_share(self, order: ExchangeOrder, quantity: Decimal) -> None:
        """Free what `order` holds for `quantity` of what remains of it."""
        share = self._share(order, quantity)
        if share:
            self._wallet.release(order.held_asset, share)
            order.held -= share

    def _share(self, order: ExchangeOrder, quantity: Decimal) -> Decimal:
        """Return what `order` holds for `quantity` of what remains of it."""
        if not order.held or quantity >= order.remaining:
            return order.held
        return order.held * quantity / order.remaining

    def _fee(
        self,
        order: ExchangeOrder,
        quantity: Decimal,
        quote: Decimal,
        time_ms: int,
        *,
        is_maker: bool,
    ) -> tuple[Decimal, str]:
        listing = self._market.listing(order.symbol)
        rate = self.terms.maker_fee if is_maker else self.terms.taker_fee
        if self.terms.fee_asset is FeeAsset.BNB:
            fee = (quote * rate * BNB_DISCOUNT / self._bnb_price(listing.quote, time_ms)).quantize(
                EIGHT
            )
            if self.can_pay("BNB", fee):
                return fee, "BNB"
        in_base = order.is_buy and self.terms.fee_asset is not FeeAsset.QUOTE
        amount, asset = (quantity, listing.base) if in_base else (quote, listing.quote)
        return (amount * rate).quantize(EIGHT), asset

    def _bnb_price(self, quote: str, time_ms: int) -> Decimal:
        symbol = f"BNB{quote}"
        if symbol in self._market.symbols:
            return self._market.price(symbol, time_ms)
        return BNB_PRICE
