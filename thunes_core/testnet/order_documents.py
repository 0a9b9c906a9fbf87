"""Orders, trades and the account as the exchange's REST documents.

Add here: a field of a document. Keep out: where it is served.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from thunes_core.testnet.orders import NEVER_MS, ExchangeOrder, Status, Trade
from thunes_core.testnet.wallet import Wallet

if TYPE_CHECKING:
    from thunes_core.testnet.amending import Amendment
    from thunes_core.testnet.prevention import PreventedMatch

ZERO = Decimal(0)
NO_GROUP = -1


def money(value: Decimal | float) -> str:
    """Write a price or amount with eight decimals, or with as many more as it really has."""
    if isinstance(value, Decimal) and -int(value.as_tuple().exponent) > 8:
        text = format(value.normalize(), "f")
        return text if len(text.partition(".")[2]) > 8 else format(value, ".8f")
    return format(value, ".8f")


def acknowledged(order: ExchangeOrder) -> dict[str, Any]:
    """Return the ACK answer to a new order."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "transactTime": order.time_ms,
    }


def _figures(order: ExchangeOrder) -> dict[str, Any]:
    asked = order.asked
    unsized = {} if asked.quantity is None else {"origQty": money(order.quantity)}
    return {
        "price": money(asked.price or ZERO),
        **unsized,
        "executedQty": money(order.executed),
        "origQuoteOrderQty": money(asked.quote_quantity or ZERO),
        "cummulativeQuoteQty": money(order.quote),
        "status": str(order.status),
        "timeInForce": str(asked.time_in_force),
        "type": str(asked.type),
        "side": str(asked.side),
    }


def _optional(order: ExchangeOrder) -> dict[str, Any]:
    """Return the fields that only some orders show."""
    asked = order.asked
    fields: dict[str, Any] = {}
    if asked.stop_price is not None:
        fields["stopPrice"] = money(asked.stop_price)
    if asked.iceberg_quantity is not None:
        fields["icebergQty"] = money(asked.iceberg_quantity)
    if asked.trailing_delta is not None:
        fields["trailingDelta"] = asked.trailing_delta
    if order.trailing_ms != NEVER_MS:
        fields["trailingTime"] = order.trailing_ms
    if asked.strategy_id is not None:
        fields["strategyId"] = asked.strategy_id
    if asked.strategy_type is not None:
        fields["strategyType"] = asked.strategy_type
    if order.matches_prevented:
        fields["preventedMatchId"] = order.matches_prevented[-1].number
        fields["preventedQuantity"] = money(order.prevented)
    if asked.is_routed:
        fields["usedSor"] = True
        fields["workingFloor"] = working_floor(order)
    return fields


def working_floor(order: ExchangeOrder) -> str:
    """Return where a routed order was last active: SOR until its own book fills it."""
    return "EXCHANGE" if order.trades and order.trades[-1].allocation_id is None else "SOR"


def placed(order: ExchangeOrder) -> dict[str, Any]:
    """Return the RESULT answer to a new order."""
    return {
        **acknowledged(order),
        **_figures(order),
        **_optional(order),
        "workingTime": order.working_ms,
        "selfTradePreventionMode": str(order.asked.prevention),
    }


def placed_with_fills(order: ExchangeOrder) -> dict[str, Any]:
    """Return the FULL answer to a new order."""
    document = {**placed(order), "fills": [_fill(trade) for trade in order.trades]}
    if order.matches_prevented:
        document["preventedMatches"] = [_own_match(one) for one in order.matches_prevented]
    return document


def _fill(trade: Trade) -> dict[str, Any]:
    fields = {
        "price": money(trade.price),
        "qty": money(trade.quantity),
        "commission": money(trade.fee),
        "commissionAsset": trade.fee_asset,
        "tradeId": trade.trade_id,
    }
    if trade.allocation_id is None:
        return fields
    return {"matchType": ALLOCATED, **fields, "allocId": trade.allocation_id}


ALLOCATED = "ONE_PARTY_TRADE_REPORT"


def _own_match(one: PreventedMatch) -> dict[str, Any]:
    return {
        "preventedMatchId": one.number,
        "makerOrderId": one.maker_id,
        "price": money(one.price),
        **_prevented_quantities(one),
    }


def _prevented_quantities(one: PreventedMatch) -> dict[str, Any]:
    fields = {}
    if one.taker_quantity is not None:
        fields["takerPreventedQuantity"] = money(one.taker_quantity)
    if one.maker_quantity is not None:
        fields["makerPreventedQuantity"] = money(one.maker_quantity)
    return fields


def prevented(one: PreventedMatch) -> dict[str, Any]:
    """Return a prevented match as myPreventedMatches shows it."""
    return {
        "symbol": one.symbol,
        "preventedMatchId": one.number,
        "takerOrderId": one.taker_id,
        "makerSymbol": one.symbol,
        "makerOrderId": one.maker_id,
        "tradeGroupId": NO_GROUP,
        "selfTradePreventionMode": str(one.mode),
        "price": money(one.price),
        **_prevented_quantities(one),
        "transactTime": one.time_ms,
    }


def amended(one: Amendment) -> dict[str, Any]:
    """Return an order as the answer to its amendment shows it."""
    order = one.order
    working = {} if order.working_ms == NEVER_MS else {"workingTime": order.working_ms}
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "origClientOrderId": one.old_client_id,
        "clientOrderId": one.new_client_id,
        "price": money(order.asked.price or ZERO),
        "qty": money(order.quantity),
        "executedQty": money(order.executed),
        "preventedQty": money(order.prevented),
        "quoteOrderQty": money(order.asked.quote_quantity or ZERO),
        "cumulativeQuoteQty": money(order.quote),
        "status": str(order.status),
        "timeInForce": str(order.asked.time_in_force),
        "type": str(order.asked.type),
        "side": str(order.asked.side),
        **_optional(order),
        **working,
        "selfTradePreventionMode": str(order.asked.prevention),
    }


def amendment(one: Amendment) -> dict[str, Any]:
    """Return an amendment as the history of an order shows it."""
    return {
        "symbol": one.order.symbol,
        "orderId": one.order.order_id,
        "executionId": one.number,
        "origClientOrderId": one.old_client_id,
        "newClientOrderId": one.new_client_id,
        "origQty": money(one.old_quantity),
        "newQty": money(one.new_quantity),
        "time": one.time_ms,
    }


def allocation(one: Trade) -> dict[str, Any]:
    """Return an allocation as myAllocations shows it."""
    return {
        "symbol": one.symbol,
        "allocationId": one.allocation_id,
        "allocationType": "SOR",
        "orderId": one.order_id,
        "orderListId": one.list_id,
        "price": money(one.price),
        "qty": money(one.quantity),
        "quoteQty": money(one.quote),
        "commission": money(one.fee),
        "commissionAsset": one.fee_asset,
        "time": one.time_ms,
        "isBuyer": one.is_buyer,
        "isMaker": one.is_maker,
        "isAllocator": False,
    }


def canceled(order: ExchangeOrder) -> dict[str, Any]:
    """Return the answer to a cancel; its client id is the cancel's own, the order's the original.

    An order of the list that had ended before shows the id it had.
    """
    return {
        **acknowledged(order),
        "origClientOrderId": order.client_id,
        "clientOrderId": order.cancel_id or order.client_id,
        "transactTime": order.update_ms,
        **_figures(order),
        **_optional(order),
        "selfTradePreventionMode": str(order.asked.prevention),
    }


def queried(order: ExchangeOrder) -> dict[str, Any]:
    """Return an order as queries show it: no fills, no fees."""
    asked = order.asked
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        **_figures(order),
        **_optional(order),
        "stopPrice": money(asked.stop_price or ZERO),
        "icebergQty": money(asked.iceberg_quantity or ZERO),
        "time": order.time_ms,
        "updateTime": order.update_ms,
        "isWorking": not order.waits and order.status is not Status.PENDING_NEW,
        "workingTime": order.working_ms,
        "selfTradePreventionMode": str(asked.prevention),
    }


def traded(trade: Trade) -> dict[str, Any]:
    """Return a trade as myTrades shows it."""
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "orderListId": trade.list_id,
        "price": money(trade.price),
        "qty": money(trade.quantity),
        "quoteQty": money(trade.quote),
        "commission": money(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.time_ms,
        "isBuyer": trade.is_buyer,
        "isMaker": trade.is_maker,
        "isBestMatch": True,
    }


def account(
    wallet: Wallet,
    *,
    maker_fee: Decimal,
    taker_fee: Decimal,
    time_ms: int,
    assets: list[str],
    omit_zeros: bool,
) -> dict[str, Any]:
    """Return the account with its balances."""
    shown = [a for a in assets if not omit_zeros or wallet.total(a)]
    return {
        "makerCommission": int(maker_fee * 10_000),
        "takerCommission": int(taker_fee * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": money(maker_fee),
            "taker": money(taker_fee),
            "buyer": money(ZERO),
            "seller": money(ZERO),
        },
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": time_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": a, "free": money(wallet.free(a)), "locked": money(wallet.held(a))}
            for a in shown
        ],
        "permissions": ["SPOT"],
        "uid": 8799,
    }
