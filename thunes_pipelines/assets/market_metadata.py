"""What a person sees of the market assets in the UI: rows, spans, gaps, a picture.

Add here: a way of showing instruments or bars. Keep out: computing what is shown.
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import dagster as dg
import polars as pl

from thunes_core.adapters.bars.result import IngestResult
from thunes_core.domain.bars import Gap
from thunes_core.domain.instrument import Instrument
from thunes_pipelines.assets.market_checks import Ingested

_GAP_TABLE = dg.TableSchema(
    [dg.TableColumn("first_missing"), dg.TableColumn("last_missing"), dg.TableColumn("bars", "int")]
)
_TRADE_COLUMNS = ("entry_time", "entry_price", "exit_time", "exit_price", "pnl")


def sentence(partition: str, result: IngestResult) -> str:
    """Say in one line what an ingestion did."""
    return (
        f"{partition}: {result.received} received, {result.written} new, {result.revised} revised, "
        f"{result.withdrawn} withdrawn, {result.refused} refused, {len(result.gaps)} gaps"
    )


def of_bars(title: str, outcome: Ingested) -> dict[str, Any]:
    """Return the metadata of one partition of bars."""
    result = outcome.result
    return {
        "dagster/partition_row_count": outcome.stored.height,
        "received": result.received,
        "new": result.written,
        "revised": result.revised,
        "withdrawn": result.withdrawn,
        "refused": result.refused,
        **_span(result),
        "gaps": dg.MetadataValue.table([_gap_row(g) for g in result.gaps], schema=_GAP_TABLE),
        "problems": dg.MetadataValue.json({p.kind: p.rows for p in result.problems}),
        "price": dg.MetadataValue.md(_picture(outcome.stored, title.replace("|", " "))),
    }


def of_revisions(rows: pl.DataFrame) -> dict[str, Any]:
    """Return the metadata of the older versions of one symbol's bars."""
    newest = rows["replaced_at"].max()
    told = {"newest": dg.MetadataValue.timestamp(newest)} if isinstance(newest, datetime) else {}
    return {"dagster/partition_row_count": rows.height, **told}


def of_instruments(found: Sequence[Instrument]) -> dict[str, Any]:
    """Return the metadata of the instruments read."""
    return {
        "symbols": len(found),
        "halted": sum(i.status != "TRADING" for i in found),
        "instruments": dg.MetadataValue.table([_instrument_row(i) for i in found]),
    }


def _span(result: IngestResult) -> dict[str, Any]:
    edges = {"first_bar": result.first, "last_bar": result.last}
    return {name: dg.MetadataValue.timestamp(at) for name, at in edges.items() if at}


def _gap_row(gap: Gap) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "first_missing": f"{gap.start:%Y-%m-%d %H:%M}",
            "last_missing": f"{gap.end:%Y-%m-%d %H:%M}",
            "bars": gap.bars,
        }
    )


def _instrument_row(instrument: Instrument) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "symbol": instrument.symbol,
            "status": instrument.status,
            "base": instrument.base_asset,
            "quote": instrument.quote_asset,
            "tick_size": str(instrument.tick_size),
            "step_size": str(instrument.step_size),
            "min_quantity": str(instrument.min_quantity),
            "min_notional": str(instrument.min_notional),
        }
    )


def _picture(bars: pl.DataFrame, title: str) -> str:
    from thunes_core.reporting.plots import price_trades_png

    no_trades = pl.DataFrame(schema=dict.fromkeys(_TRADE_COLUMNS, pl.Float64()))
    png = base64.b64encode(price_trades_png(bars, no_trades, title)).decode()
    return f"![{title}](data:image/png;base64,{png})"
