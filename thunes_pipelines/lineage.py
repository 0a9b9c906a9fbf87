"""Why an order was sent, back to the bars its parameters were found on; and from bars forward.

Back: order → fills → decision → parameter version → evidence run and trial → months of bars with
their content hashes → code version. Forward: a month of bars → versions whose evidence stands on
it, with another content by now or not → decisions and orders made under them.

Add here: a link of the chain. Keep out: how it is shown (cli/why), stores themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from thunes_core.domain.bars import fingerprint, parse_interval
from thunes_core.domain.parameters import study_key
from thunes_core.errors import BadInput, NoChampion, RegistryUnavailable, UnknownName

if TYPE_CHECKING:
    from thunes_core.adapters.bars.store import BarStore
    from thunes_core.adapters.ledger import Ledger
    from thunes_pipelines.resources.registry import Registry

Facts = dict[str, Any]
UNCHANGED, REVISED, GONE = "unchanged", "revised", "gone"
_ORDER = ("symbol", "side", "type", "leg", "reason", "status", "code", "why", "intended_at")
_DECISION = ("bar", "target", "previous_target", "why", "decided_at", "bars_fingerprint")
_FILL = ("trade_id", "time", "price_text", "quantity_text", "fee_text", "fee_asset")
_HASH_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the chain is read from."""

    ledger: Ledger
    registry: Registry
    bars: BarStore


def why(order_id: str, sources: Sources, symbol: str | None = None) -> Facts:
    """Return the chain behind an order, by its own id, the exchange's, or that of a fill.

    The exchange numbers orders and trades of each symbol by themselves: `symbol` tells them apart.
    Raises `UnknownName` where the ledger knows none such, `BadInput` where it knows several.

    A registry that cannot be asked leaves `parameters` with the reason, and the rest stands.
    """
    order = _order(sources.ledger, order_id, symbol)
    decision = _decision(sources.ledger.decisions(), order)
    fills = sources.ledger.fills().filter(pl.col("client_order_id") == order["client_order_id"])
    version = _version(sources.registry, decision)
    return {
        "order": {
            "client_order_id": order["client_order_id"],
            "exchange_order_id": order["exchange_order_id"],
            "strategy": order["strategy"],
            "quantity": order["quantity_text"],
            **{name: order[name] for name in _ORDER},
        },
        "fills": [{name: row[name] for name in _FILL} for row in fills.iter_rows(named=True)],
        "decision": {name: decision.get(name) for name in _DECISION},
        "parameters": _parameters(decision, version),
        "evidence": _evidence(version),
        "bars": _months(sources.bars, version),
    }


def stands_on(symbol: str, month: str, sources: Sources) -> Facts:
    """Return all that stands on one month (`2025-03`) of a symbol's bars.

    The versions whose evidence was made of it, with what was decided and ordered under them; and
    what was decided on its own bars, under whatever version.
    """
    partition = f"{month}|{symbol}"
    rows = [
        _standing(version, found["state"], sources)
        for version in sources.registry.versions()
        if version["symbol"] == symbol and month in _hashes(version["tags"])
        for found in _months(sources.bars, version)
        if found["partition"] == partition
    ]
    here = (pl.col("symbol") == symbol) & (pl.col("bar").dt.strftime("%Y-%m") == month)
    return {
        "partition": partition,
        "versions": rows,
        "decided_on_it": sources.ledger.decisions().filter(here).height,
        "ordered_on_it": sources.ledger.orders().filter(here)["client_order_id"].to_list(),
    }


def revised(sources: Sources) -> list[Facts]:
    """Return, for every version, the months under its evidence that are no longer what they were.

    Each with the decisions and orders made under the version: all that stands on a revised month.
    """
    return [
        {"partition": month["partition"], **_standing(version, month["state"], sources)}
        for version in sources.registry.versions()
        for month in _months(sources.bars, version)
        if month["state"] != UNCHANGED
    ]


def newest_fills(sources: Sources, most: int) -> list[Facts]:
    """Return the newest fills, each with the whole chain behind its order, newest first."""
    fills = sources.ledger.fills().tail(most).reverse()
    chains = {one: why(one, sources) for one in fills["client_order_id"].unique()}
    return [
        {"fill": {name: row[name] for name in _FILL}, **chains[row["client_order_id"]]}
        for row in fills.iter_rows(named=True)
    ]


def month_hashes(bars: pl.DataFrame) -> dict[str, str]:
    """Return the content hash of each month's part of `bars`, short, by `YYYY-MM`."""
    months = bars.with_columns(month=pl.col("open_time").dt.strftime("%Y-%m"))
    return {
        str(key[0]): fingerprint(part.drop("month"))[:_HASH_LENGTH]
        for key, part in months.group_by("month", maintain_order=True)
    }


def _order(ledger: Ledger, order_id: str, symbol: str | None) -> Facts:
    filled = ledger.fills().filter(pl.col("trade_id") == order_id)["client_order_id"].to_list()
    ours, theirs = pl.col("client_order_id"), pl.col("exchange_order_id")
    orders = ledger.orders().filter(pl.lit(True) if symbol is None else pl.col("symbol") == symbol)
    found = orders.filter(ours == order_id)
    if found.is_empty():
        found = orders.filter((theirs == order_id) | ours.is_in(filled))
    if found.height > 1:
        several = ", ".join(f"{row[0]} ({row[1]})" for row in found.select(ours, "symbol").rows())
        raise BadInput(
            f"order: expected the id of one; {order_id!r} belongs to {several}, as an order's or a "
            "fill's; give the symbol, or one of these ids"
        )
    if found.is_empty():
        raise UnknownName(
            f"order: expected the id of one in the ledger; it holds none called {order_id!r}; see "
            "`thunes status` or the daily report"
        )
    return found.row(0, named=True)


def _decision(decisions: pl.DataFrame, order: Facts) -> Facts:
    same = [pl.col(name) == order[name] for name in ("strategy", "symbol", "bar")]
    found = decisions.filter(*same)
    return {} if found.is_empty() else found.row(0, named=True)


def _version(registry: Registry, decision: Facts) -> Facts:
    if not decision.get("version"):
        return {"missing": "the decision names no registered version"}
    study = study_key(decision["strategy"], decision["symbol"], decision["interval"])
    try:
        return registry.version(study, decision["version"])
    except (RegistryUnavailable, NoChampion) as error:
        return {"missing": str(error)}


def _parameters(decision: Facts, version: Facts) -> Facts:
    kept = ("aliases", "parameters", "verdict", "policy", "why", "missing")
    return {
        "fingerprint": decision.get("parameters"),
        "version": decision.get("version"),
        **{name: version[name] for name in kept if name in version},
    }


def _evidence(version: Facts) -> Facts:
    tags = version.get("tags", {})
    kept = ("walk", "trial", "trials", "data", "code", "dagster_run")
    return {
        "run_id": version.get("run_id"),
        "url": version.get("url"),
        "figures": version.get("evidence", {}),
        **{name: tags.get(f"thunes.{name}") for name in kept},
    }


def _hashes(tags: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = json.loads(tags.get("thunes.months", "{}"))
    return found


def _months(bars: BarStore, version: Facts) -> list[Facts]:
    """Return each month that the evidence stands on, and whether its bars are still the same."""
    tags = version.get("tags", {})
    then = _hashes(tags)
    if not then:
        return []
    now = month_hashes(
        bars.read(
            version["symbol"],
            parse_interval(version["interval"]),
            datetime.fromisoformat(tags["thunes.bars_from"]),
            datetime.fromisoformat(tags["thunes.bars_until"]),
        )
    )
    return [
        {
            "partition": f"{month}|{version['symbol']}",
            "sha256": held,
            "state": _state(now, month, held),
        }
        for month, held in then.items()
    ]


def _state(now: Mapping[str, str], month: str, held: str) -> str:
    if month not in now:
        return GONE
    return UNCHANGED if now[month] == held else REVISED


def _standing(version: Facts, state: str, sources: Sources) -> Facts:
    made = sources.ledger.decisions().filter(
        pl.col("strategy") == version["strategy"],
        pl.col("symbol") == version["symbol"],
        pl.col("interval") == version["interval"],
        pl.col("version") == version["version"],
    )
    orders = sources.ledger.orders().join(made, on=["strategy", "symbol", "bar"], how="semi")
    return {
        "study": version["study"],
        "version": version["version"],
        "aliases": version["aliases"],
        "state": state,
        "decisions": len(made),
        "orders": orders["client_order_id"].to_list(),
    }
