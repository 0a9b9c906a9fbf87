"""`thunes testnet`: serve the local exchange until it is interrupted.

Add here: an option of the testnet. Keep out: what the exchange does (`thunes_core.testnet`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from thunes_core.domain.limits import Costs
from thunes_core.errors import BadInput
from thunes_pipelines.cli.output import console, emit_json

if TYPE_CHECKING:
    from thunes_core.testnet.market import Market
    from thunes_core.testnet.matching import Exchange


def add_to(app: typer.Typer) -> None:
    """Register `thunes testnet`."""
    app.command("testnet")(testnet)


def testnet(
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(8799, help="Port to listen on; 0 takes a free one."),
    bars: list[Path] = typer.Option(
        [], help="Candles to replay (Parquet, CSV, archive zip); repeatable."
    ),
    symbols: str = typer.Option(
        "BTCUSDT,ETHUSDT", help="Symbols to invent when none are replayed."
    ),
    interval: str = typer.Option("1h", help="Interval of invented candles."),
    seed: int = typer.Option(7, help="Seed of invented candles."),
    history_days: int = typer.Option(
        730, min=1, max=4000, help="Days of invented candles before the start."
    ),
    start: str | None = typer.Option(None, help="Where the clock begins, ISO 8601 UTC."),
    clock: str = typer.Option("real", help="real, stepped, or xN for N times real."),
    cash: float = typer.Option(10_000.0, help="Starting balance of every quote asset."),
    taker_fee: float = typer.Option(0.001, help="Taker fee, a fraction."),
    maker_fee: float = typer.Option(0.001, help="Maker fee, a fraction."),
    slippage: float = typer.Option(0.0005, help="Slippage of takers, a fraction."),
    fee_asset: str = typer.Option("base", help="Fees in what is received (base), quote or bnb."),
    as_json: bool = typer.Option(False, "--json", help="Announce the address as JSON."),
) -> None:
    """Serve Binance's spot protocol on this machine, on replayed or invented candles."""
    from thunes_core.testnet.app import make_exchange, serve
    from thunes_core.testnet.options import Options
    from thunes_core.testnet.settlement import FeeAsset, terms_of

    if fee_asset not in list(FeeAsset):
        raise BadInput(f"fee-asset: expected {', '.join(FeeAsset)}; it was {fee_asset!r}")
    _require_costs(cash, taker_fee, maker_fee, slippage)
    market = _market(bars, symbols, interval, seed, _moment(start), clock, history_days)
    options = Options(
        cash=Decimal(str(cash)), terms=terms_of(Costs(taker_fee, maker_fee, slippage), fee_asset)
    )
    exchange = make_exchange(market, clock=clock, start=_moment(start), options=options)
    serve(exchange, host, port, lambda url: _announce(url, exchange, clock, as_json))


def _require_costs(cash: float, *rates: float) -> None:
    if not 0 <= cash < 1e15:
        raise BadInput(f"cash: expected 0 or more; it was {cash}; give an amount of quote")
    for rate in rates:
        if not 0 <= rate < 0.5:
            raise BadInput(f"rate: expected a fraction in [0, 0.5); it was {rate}; 0.001 is 0.1 %")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(
            f"start: expected a time such as 2025-01-01T00:00:00; it was {text!r}"
        ) from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def _market(
    files: list[Path],
    symbols: str,
    interval: str,
    seed: int,
    start: datetime | None,
    clock: str,
    history_days: int,
) -> Market:
    from thunes_core.clock import SystemClock
    from thunes_core.domain.bars import parse_interval
    from thunes_core.testnet.candles import read_candles
    from thunes_core.testnet.market import DEMO_START, generated_market, replayed_market

    if files:
        return replayed_market([read_candles(path) for path in files], start=start)
    wanted = [name.strip() for name in symbols.split(",") if name.strip()]
    begin = start or (SystemClock().now() if clock == "real" else DEMO_START)
    return generated_market(
        wanted,
        seed=seed,
        start=begin,
        interval=parse_interval(interval),
        history_days=history_days,
    )


def _announce(url: str, exchange: Exchange, clock: str, as_json: bool) -> None:
    facts = {
        "url": url,
        "symbols": exchange.market.symbols,
        "clock": clock,
        "now_ms": exchange.clock.now_ms(),
    }
    if as_json:
        emit_json(facts)
        return
    console.print(f"Local testnet on [bold]{url}[/bold], clock {clock}: {facts['symbols']}")
    console.print("Ctrl-C stops it. Key thunes-local-key, secret thunes-local-secret.")
