"""Take what the exchange says as it is, as a person decided: balances, orders, coins that are gone.

Coins that the books hold and the account does not were sold or taken away by hand: they leave the
books (`lost`). So does what a symbol that is not listed any more held (`delisted`).

Add here: a thing that a person may accept. Keep out: finding it (`reconcile`), who asks.
"""

from __future__ import annotations

from thunes_core.errors import AnswerIsNo
from thunes_core.trading.delisted import write_off_delisted
from thunes_core.trading.foreign import by_symbol
from thunes_core.trading.lost import lost_coins
from thunes_core.trading.reconcile import Desk, Reconciliation
from thunes_core.trading.witness import strange_account


def accept(desk: Desk, found: Reconciliation) -> list[str]:
    """Accept what was `found`; return what was done, in sentences. Repeating it does nothing.

    Raises `AnswerIsNo` where the account is not the one whose trades the ledger knows.
    """
    strange = "" if found.fits else strange_account(desk)
    if strange:
        raise AnswerIsNo(f"reconcile: nothing is accepted; {strange}")
    said = []
    for one in found.discrepancies:
        desk.journal.accept_balance(one.asset, one.actual, desk.now, "accepted by a person")
        said.append(f"{one.asset}: accepted, the account holds {one.actual:f}")
    for order in found.strangers:
        desk.journal.accept_order(order.symbol, order.client_order_id, desk.now)
        said.append(f"{order.symbol}: open order {order.client_order_id} accepted as not ours")
    if found.foreign:
        desk.journal.accept_foreign(found.foreign, desk.now)
    for symbol, trades in by_symbol(found.foreign).items():
        said.append(f"{symbol}: {len(trades)} trades accepted as not ours")
    return [*said, *lost_coins(desk, found.account), *write_off_delisted(desk)]
