"""The options of an exchange.

Add here: a choice of whoever starts the exchange. Keep out: what it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from thunes_core.testnet.liquidity import Depth
from thunes_core.testnet.settlement import Terms


@dataclass(frozen=True, slots=True)
class Options:
    """How the exchange treats its account.

    `cash` is what it starts with in every quote asset; `balances` (by asset) replace that.
    `enforce_limits` None: rate limits bind unless the clock is stepped. `depth` None: every order
    finds what it wants. `key_may_withdraw` is what the key's permissions say.
    `filters_before_cancel`: a replacement is held against the filters before the old order is gone,
    as Binance's page says of cancelReplace, and refused alone when it breaks one; False: after.
    `exchange_filters` and `asset_filters` are documents as on the exchange's page of filters;
    usually there are none.
    """

    cash: Decimal = Decimal(10_000)
    balances: Mapping[str, Decimal] | None = None
    terms: Terms = Terms()  # noqa: RUF009 - frozen
    enforce_limits: bool | None = None
    depth: Depth | None = None
    key_may_withdraw: bool = False
    filters_before_cancel: bool = True
    exchange_filters: tuple[Mapping[str, Any], ...] = ()
    asset_filters: tuple[Mapping[str, Any], ...] = ()
