"""Executors that are broken on purpose: the machine must catch each of them.

Add here: another way to break one, with its patches. Keep out: what the machine does.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from thunes_core.domain.orders import OrderStatus
from thunes_core.domain.portfolio import Account, Balance
from thunes_core.errors import OutcomeUnknown
from thunes_core.trading import act, book, clear_up, enter, guard, in_doubt, reconcile, send, trade

HONEST_BOOK = book.book_fill
HONEST_BARE = in_doubt._bare
HONEST_DELIVER = send.deliver
HONEST_FAILED = send._failed


def send_again(broker, journal, approved, request):
    """Repeat a request whose outcome is not known."""

    def twice():
        try:
            return request()
        except OutcomeUnknown:
            return request()

    return HONEST_DELIVER(broker, journal, approved, twice)


def take_for_rejected(journal, ids, now, status, code, error):
    """Store that an order of unknown outcome does not exist."""
    sure = OrderStatus.REJECTED if status is OrderStatus.UNKNOWN else status
    return HONEST_FAILED(journal, ids, now, sure, code, error)


def without_base_fees(position, fill, record, fee_quote, terms):
    """Book a fill as if its fee had been paid in quote units."""
    honest = replace(fill, fee_asset=terms.instrument.quote_asset)
    return HONEST_BOOK(position, honest, record, fee_quote, terms)


def alone(desk, book, doubted):
    """Take an account for one without other people's coins."""
    account, asset = desk.broker.account(), desk.instruments[book.symbol].base_asset
    mine = Account({asset: Balance(asset, book.quantity)})
    broker = SimpleNamespace(account=lambda: mine, open_orders=lambda: [])
    found = HONEST_BARE(replace(desk, broker=broker), book, doubted)
    return min(found, account.free(asset))


PATCHES: dict[str, tuple[tuple[Any, str, Any], ...]] = {
    "sends again what is unknown": (
        *((module, "deliver", send_again) for module in (send, act, guard, in_doubt)),
    ),
    "takes unknown for rejected": ((send, "_failed", take_for_rejected),),
    "never asks what became of an order": (
        (reconcile, "resolve", lambda *_a: []),
        (clear_up, "resolve", lambda *_a: []),
    ),
    "covers a sale in doubt though other coins lie there": ((in_doubt, "_bare", alone),),
    "forgets fees in base": ((reconcile, "book_fill", without_base_fees),),
    "never protects": (
        (trade, "guard", lambda *_a: []),
        (enter, "lists_for", lambda *_a: []),
        (clear_up, "_give_up", lambda *_a: []),
    ),
}
