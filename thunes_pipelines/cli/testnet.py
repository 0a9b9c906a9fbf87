"""`thunes testnet`: serve the local exchange until it is interrupted.

Add here: an option of the testnet. Keep out: what the exchange does (`thunes_core.testnet`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import typer

from thunes_core.domain.limits import Costs
from thunes_core.errors import BadInput
from thunes_pipelines.cli.output import console, emit_json

if TYPE_CHECKING:
    from thunes_core.testnet.market import Market
    from thunes_core.testnet.matching import Exchange
    from thunes_core.testnet.options import Options
    from thunes_core.testnet.security import Key

ED25519_KEY = "thunes-local-ed25519"
RSA_KEY = "thunes-local-rsa"
YEARS = range(1990, 2201)


_address = partial(typer.Option, rich_help_panel="Address")
_market_option = partial(typer.Option, rich_help_panel="Market")
_clock = partial(typer.Option, rich_help_panel="Clock")
_account = partial(typer.Option, rich_help_panel="Account and costs")
_fault = partial(typer.Option, rich_help_panel="Faults")


def add_to(app: typer.Typer) -> None:
    """Register `thunes testnet`."""
    app.command("testnet")(testnet)


def testnet(
    host: str = _address("127.0.0.1", help="Address to listen on."),
    port: int = _address(8799, min=0, max=65535, help="Port to listen on; 0 takes a free one."),
    bars: list[Path] = _market_option(
        [], help="Candles to replay (Parquet, CSV, archive zip); repeatable."
    ),
    symbols: str = _market_option("BTCUSDT,ETHUSDT", help="Symbols to invent without --bars."),
    interval: str = _market_option("1h", help="Interval of invented candles."),
    history_days: int = _market_option(730, help="Days of invented candles before the start."),
    seed: int = _market_option(7, help="Seed of invented candles, books and drawn faults."),
    start: str | None = _clock(None, help="Where the clock begins, ISO 8601 UTC."),
    clock: str = _clock("real", help="real, stepped, or xN for N times real."),
    cash: float = _account(10_000.0, help="Starting balance of every quote asset."),
    balance: list[str] = _account([], help="More of an asset, such as BNB=2; repeatable."),
    taker_fee: float = _account(0.001, help="Taker fee, a fraction."),
    maker_fee: float = _account(0.001, help="Maker fee, a fraction."),
    slippage: float = _account(0.0005, help="Slippage of takers, a fraction."),
    fee_asset: str = _account("base", help="Fees in what is received (base), quote or bnb."),
    path: str = _market_option("low_first", help="Inside a candle: low_first, colour or seed."),
    depth: bool = _account(False, "--depth", help="Books of finite depth, partial fills."),
    faults: Path | None = _fault(None, help="Script of faults (JSON)."),
    fault_rate: float = _fault(0.0, help="Share of order requests that fail, by --seed."),
    public_key: Path | None = _address(
        None, help=f"Public key (PEM) of the API key {ED25519_KEY}, or {RSA_KEY}."
    ),
    as_json: bool = _address(False, "--json", help="Announce the address as JSON."),
) -> None:
    """Serve Binance's spot protocol on this machine, on replayed or invented candles.

    The key is thunes-local-key, the secret thunes-local-secret; docs/testnet.md tells the rest.
    """
    from thunes_core.testnet.app import make_exchange, serve

    begin = _moment(start)
    exchange = make_exchange(
        _market(bars, symbols, interval, seed, history_days, begin, clock, path),
        clock=clock,
        start=begin,
        options=_options(cash, Costs(taker_fee, maker_fee, slippage), fee_asset, seed, depth),
        keys=_keys(public_key),
    )
    _deposit(exchange, balance)
    _plan_faults(exchange, faults, fault_rate, seed)
    serve(exchange, host, port, lambda url: _announce(url, exchange, clock, as_json))


def _options(cash: float, costs: Costs, fee_asset: str, seed: int, depth: bool) -> Options:
    from thunes_core.testnet.liquidity import Depth
    from thunes_core.testnet.options import Options
    from thunes_core.testnet.settlement import FeeAsset, terms_of

    if fee_asset not in list(FeeAsset):
        raise BadInput(f"fee-asset: expected {', '.join(FeeAsset)}; it was {fee_asset!r}")
    if not 0 <= cash < 1e15:
        raise BadInput(f"cash: expected 0 or more; it was {cash}; give an amount of quote")
    for rate in (costs.taker_fee, costs.maker_fee, costs.slippage):
        if not 0 <= rate < 0.5:
            raise BadInput(f"rate: expected a fraction in [0, 0.5); it was {rate}; 0.001 is 0.1 %")
    return Options(
        cash=Decimal(str(cash)),
        terms=terms_of(costs, fee_asset),
        depth=Depth(seed=seed) if depth else None,
    )


def _deposit(exchange: Exchange, balances: list[str]) -> None:
    from thunes_core.testnet.admin import deposit

    for text in balances:
        asset, equals, amount = text.partition("=")
        if not equals or not asset.isalnum():
            raise BadInput(f"balance: expected ASSET=AMOUNT such as BNB=2; it was {text!r}")
        deposit(exchange, {"asset": asset, "amount": amount})


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.year not in YEARS:
        raise BadInput(
            "start: expected a time such as 2025-01-01T00:00:00, of the years "
            f"{YEARS[0]} to {YEARS[-1]}; it was {text!r}"
        )
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def _market(
    files: list[Path],
    symbols: str,
    interval: str,
    seed: int,
    history_days: int,
    start: datetime | None,
    clock: str,
    path: str,
) -> Market:
    """Replay the files, or invent candles; on a real clock without a start they end now."""
    from thunes_core.clock import SystemClock
    from thunes_core.domain.bars import parse_interval
    from thunes_core.testnet.candles import read_candles
    from thunes_core.testnet.market import DEMO_START, generated_market, replayed_market
    from thunes_core.testnet.series import PathOrder

    if path not in list(PathOrder):
        raise BadInput(f"path: expected {', '.join(PathOrder)}; it was {path!r}")
    order = PathOrder(path)
    if files:
        return replayed_market([read_candles(file) for file in files], start=start, order=order)
    if not 1 <= history_days <= 3650:
        raise BadInput(f"history-days: expected 1 to 3650; it was {history_days}")
    return generated_market(
        [name.strip() for name in symbols.split(",") if name.strip()],
        seed=seed,
        start=start or (SystemClock().now() if clock == "real" else DEMO_START),
        interval=parse_interval(interval),
        history_days=history_days,
        order=order,
    )


def _keys(public_key: Path | None) -> dict[str, Key]:
    from thunes_core.testnet.security import LOCAL_KEY, LOCAL_SECRET, Key, public_key_of

    keys = {LOCAL_KEY: Key(secret=LOCAL_SECRET)}
    if public_key is not None:
        pem = _read(public_key, "public-key").decode("utf-8", "replace")
        known = public_key_of(pem)
        if known is None:
            raise BadInput(
                f"public-key: expected an Ed25519 or RSA public key (PEM); {public_key} is neither"
            )
        name = RSA_KEY if "RSA" in type(known).__name__ else ED25519_KEY
        keys[name] = Key(public_key_pem=pem)
    return keys


def _plan_faults(exchange: Exchange, script: Path | None, rate: float, seed: int) -> None:
    from thunes_core.testnet.admin import plan
    from thunes_core.testnet.faults import read_draw

    if script is not None:
        try:
            document = orjson.loads(_read(script, "faults"))
        except orjson.JSONDecodeError:
            raise BadInput(f"faults: expected JSON in {script}; it cannot be read") from None
        plan(exchange, document)
    if rate:
        exchange.faults.draw(read_draw({"seed": seed, "rate": rate}))


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{name}: expected a file; {path}: {error.strerror}") from None


def _announce(url: str, exchange: Exchange, clock: str, as_json: bool) -> None:
    symbols = exchange.market.symbols
    if as_json:
        now_ms = exchange.clock.now_ms()
        emit_json({"url": url, "symbols": symbols, "clock": clock, "now_ms": now_ms})
        return
    console.print(f"Local testnet on [bold]{url}[/bold], clock {clock}: {', '.join(symbols)}")
    console.print("Key thunes-local-key, secret thunes-local-secret. Ctrl-C stops it.")
