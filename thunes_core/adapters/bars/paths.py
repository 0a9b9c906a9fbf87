"""Where everything of the lake lies: names from checked symbols, intervals and months.

    <root>/bars/symbol=BTCUSDT/interval=1h/month=2024-01/data.parquet
    <root>/revisions/…  the same tree: older versions of bars
    <root>/quarantine/symbol=…/interval=…/data.parquet   <root>/outages/…  the same
    <root>/locks/…  one empty file per window

Add here: a place in the lake. Keep out: reading and writing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from thunes_core.domain.bars import Interval
from thunes_core.errors import UnknownName

FILE = "data.parquet"
_SYMBOL = re.compile(r"[A-Z0-9]{2,20}")
_MONTH = re.compile(r"month=(\d{4}-\d{2})")


def checked_symbol(symbol: str) -> str:
    """Return `symbol` when it may enter a path, else raise `UnknownName`."""
    if not _SYMBOL.fullmatch(symbol):
        raise UnknownName(
            f"symbol: expected 2 to 20 capital letters and digits such as BTCUSDT; "
            f"it was {symbol!r}; give the symbol as the exchange lists it"
        )
    return symbol


def month_of(moment: datetime) -> str:
    """Return the UTC month of `moment` as YYYY-MM."""
    return moment.astimezone(UTC).strftime("%Y-%m")


def month_edges(month: str) -> tuple[datetime, datetime]:
    """Return start and end (excluded) of a month YYYY-MM, UTC."""
    start = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    return start, (start + timedelta(days=32)).replace(day=1)


def months_between(start: datetime, end: datetime) -> list[str]:
    """Return the months that [start, end) touches, in order."""
    months, cursor = [], month_edges(month_of(start))[0]
    while cursor < end:
        months.append(month_of(cursor))
        cursor = month_edges(months[-1])[1]
    return months


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree of the lake (`bars`, `revisions`, …) below `root`."""

    root: Path
    name: str

    def series(self, symbol: str, interval: Interval) -> Path:
        """Folder of a symbol's bars of one interval."""
        return self.root / self.name / f"symbol={checked_symbol(symbol)}" / f"interval={interval}"

    def month(self, symbol: str, interval: Interval, month: str) -> Path:
        """File of one month."""
        return self.series(symbol, interval) / f"month={month}" / FILE

    def whole(self, symbol: str, interval: Interval) -> Path:
        """File of a series that is not divided by month."""
        return self.series(symbol, interval) / FILE

    def months(self, symbol: str, interval: Interval) -> list[str]:
        """Return the months that are stored, in order."""
        folders = self.series(symbol, interval).glob("month=*")
        return sorted(
            found[1]
            for folder in folders
            if (found := _MONTH.fullmatch(folder.name)) and (folder / FILE).exists()
        )

    def intervals(self, symbol: str) -> list[Interval]:
        """Return the intervals stored for `symbol`, finest first."""
        folder = self.root / self.name / f"symbol={checked_symbol(symbol)}"
        found = [i for i in Interval if self.months(symbol, i)] if folder.exists() else []
        return sorted(found, key=lambda i: i.minutes)

    def symbols(self) -> list[str]:
        """Return the symbols that have anything stored."""
        folders = (self.root / self.name).glob("symbol=*")
        return sorted(folder.name.removeprefix("symbol=") for folder in folders)
