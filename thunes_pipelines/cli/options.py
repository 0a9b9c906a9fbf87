"""Options that several commands share, declared once: costs, exits, lots, time span.

Add here: an option that a second command needs. Keep out: what a command does.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer


def _finite(value: float | None) -> float | None:
    """Refuse NaN and infinity: a range lets NaN through, and it would silently trade nothing."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"expected a finite number; it was {value}")
    return value


def number(**settings: Any) -> Any:
    """Return an option that takes finite numbers only."""
    return typer.Option(callback=_finite, **settings)


BarsFile = Annotated[Path | None, typer.Option("--bars", help="Parquet or CSV file of bars.")]
SymbolOf = Annotated[
    str | None, typer.Option("--symbol", help="Of the store, or of a file with several.")
]
IntervalOf = Annotated[
    str | None, typer.Option("--interval", help="Of the store, or of a file with several.")
]
Start = Annotated[
    str | None,
    typer.Option(help="First open time, included (ISO 8601, UTC). Earlier bars are cut."),
]
End = Annotated[str | None, typer.Option(help="Open time to stop before (excluded).")]
Cash = Annotated[float, number(min=1e-9, max=1e15, help="Starting cash, quote units.")]
TakerFee = Annotated[float, number(min=0, max=0.5, help="Fraction of the traded value.")]
MakerFee = Annotated[float, number(min=0, max=0.5, help="Fraction of the traded value.")]
Slippage = Annotated[float, number(min=0, max=0.5, help="Fraction of the price.")]
StopLoss = Annotated[float, number(min=0, max=1, help="Fraction below the entry; 0 is off.")]
TakeProfit = Annotated[float, number(min=0, help="Fraction above the entry; 0 is off.")]
TrailingStop = Annotated[
    float, number(min=0, max=1, help="Fraction below the highest high; 0 is off.")
]
TrailingActivation = Annotated[
    float, number(min=0, help="Gain from which the trail counts; 0 is at once.")
]
Cooldown = Annotated[int, typer.Option(min=0, help="No increase for so long after a loss.")]
StepSize = Annotated[float, number(min=0, help="Lot step, base units; 0 is off.")]
MinQuantity = Annotated[float, number(min=0, help="Smallest order, base units; 0 is off.")]
MinNotional = Annotated[float, number(min=0, help="Smallest order, quote units; 0 is off.")]
LimitOffset = Annotated[
    float | None,
    number(
        min=0, max=0.999, help="Enter by limit orders so far below the close; else at the market."
    ),
]
LimitTimeout = Annotated[int, typer.Option(min=1, max=10**9, help="Bars that a limit entry rests.")]
ThenMarket = Annotated[
    bool, typer.Option("--limit-then-market", help="Buy at the market what was not filled in time.")
]
