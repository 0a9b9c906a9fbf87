"""What a study looks at before it decides: champion, newest closed bars, targets.

Add here: a thing that is read for a decision. Keep out: deciding, orders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl

from thunes_core.domain.bars import Arrays, fingerprint, moment_of
from thunes_core.domain.parameters import Champion
from thunes_core.domain.portfolio import Position
from thunes_core.errors import (
    BadInput,
    NoChampion,
    OutsideFailed,
    ParametersInvalid,
    RegistryUnavailable,
)
from thunes_core.indicators.columns import Columns, columns_of
from thunes_core.strategies.base import Strategy, build_from, require_in_space, targets_of
from thunes_core.trading.ports import Journal, ParameterSource
from thunes_core.trading.world import Study, World

Doubts = Callable[[Arrays], str | None]
SPARE_BARS = 5
MAX_MISSED_BARS = 1000


@dataclass(frozen=True, slots=True)
class Sight:
    """The champion, the closed bars read and the targets from the last decided bar on.

    `parameters` is the fingerprint of the champion's set, `columns` are the same bars as arrays,
    `doubts` is asked about them before an entry.
    `bar` is the open time of the newest closed bar, UTC; None where there are no bars.
    """

    champion: Champion
    parameters: str
    bars: pl.DataFrame
    columns: Columns
    doubts: Doubts
    targets: tuple[float, ...] = ()
    bar: datetime | None = None
    note: str = ""

    @property
    def close(self) -> Decimal:
        """The close decided on; there must be a bar."""
        return Decimal(repr(float(self.columns.close[-1])))

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the bars read."""
        return fingerprint(self.bars, self.columns.arrays)

    @property
    def doubt(self) -> str:
        """Why entries should wait for other bars, or nothing."""
        return self.doubts(self.columns.arrays) or ""


def look(
    world: World,
    journal: Journal,
    study: Study,
    book: Position,
    now: datetime,
    takeover: timedelta = timedelta(0),
) -> Sight:
    """Read champion and bars of `study` and compute its targets.

    Raises `NoChampion`, `ParametersInvalid`, or what reading the bars raises.
    """
    newest, said = find_champion(world.parameters, journal, study, now, needed=book.is_open)
    champion, kept = in_charge(journal, newest, book, now, takeover)
    note = "; ".join(filter(None, (said, kept)))
    require_in_space(champion.parameters)
    strategy, parameters = build_from(champion.parameters), champion.parameters.fingerprint
    doubts = _doubts(world, study)
    bars = closed_bars(world, study, strategy, book.last_bar, now)
    columns = columns_of(bars)
    if not len(columns):
        return Sight(champion, parameters, bars, columns, doubts, note=note)
    targets = targets_of(strategy, bars, columns)[_first_shown(columns, book.last_bar) :]
    bar = moment_of(int(columns.open_time[-1]))
    return Sight(champion, parameters, bars, columns, doubts, tuple(targets), bar, note)


def _doubts(world: World, study: Study) -> Doubts:
    """Return what doubts bars before an entry; that it cannot be known is a doubt of all."""
    if world.doubts is None:
        return lambda _: None
    try:
        return world.doubts(study.symbol, study.interval)
    except (OutsideFailed, BadInput) as error:
        said = f"the bars cannot be judged: {error}"
        return lambda _: said


def _first_shown(columns: Columns, last_bar: datetime | None) -> int:
    """Return which bar comes before the first undecided one; the one before the newest at most."""
    newest = len(columns) - 1
    decided = newest if last_bar is None else columns.count_until(last_bar)
    return max(min(decided, newest) - 1, 0)


def find_champion(
    source: ParameterSource, journal: Journal, study: Study, now: datetime, *, needed: bool
) -> tuple[Champion, str]:
    """Return the champion and a note; the ledger's copy where the registry cannot be asked.

    `needed`: something is held, so that the remembered set serves even when there is no champion
    or an unfit one. Raises `NoChampion` or `ParametersInvalid`, never that a registry is down: a
    study without a copy must not stop the others.
    """
    try:
        champion = source.champion(study.key)
    except RegistryUnavailable as error:
        return _remembered(journal, study, error)
    except (NoChampion, ParametersInvalid) as error:
        if not needed:
            raise
        return _remembered(journal, study, error)
    journal.remember_champion(champion, now)
    return champion, ""


def in_charge(
    journal: Journal, newest: Champion, book: Position, now: datetime, takeover: timedelta
) -> tuple[Champion, str]:
    """Return the version that decides on `book`, and a note where it is not the newest.

    A position stays under the version that opened it until it is closed. A newer champion takes it
    over once `takeover` has passed since it was first seen, or where the older is not known.
    """
    if not book.is_open or book.parameters == newest.parameters.fingerprint:
        return newest, ""
    opened = journal.version_of(newest.study, book.parameters)
    since = journal.champion_since(newest.study)
    if opened is None or since is None or not _can_run(opened):
        return newest, f"{newest.study}: version {newest.version} takes over an older position"
    if now - since >= takeover:
        said = f"takes over the position of version {opened.version} after {now - since}"
        return newest, f"{newest.study}: version {newest.version} {said}"
    until = f"until it is closed, or until {since + takeover:%Y-%m-%d %H:%M}"
    return opened, f"{newest.study}: the position stays under version {opened.version} {until}"


def _can_run(champion: Champion) -> bool:
    """True when the present code still accepts the parameters."""
    try:
        require_in_space(champion.parameters)
        build_from(champion.parameters)
    except ParametersInvalid:
        return False
    return True


def _remembered(
    journal: Journal, study: Study, error: RegistryUnavailable | NoChampion | ParametersInvalid
) -> tuple[Champion, str]:
    kept = journal.remembered_champion(study.key)
    if kept is None and isinstance(error, RegistryUnavailable):
        raise NoChampion(f"{error}; no champion is remembered either") from error
    if kept is None:
        raise error
    return kept, f"{study.key}: registry not used ({error}); version {kept.version} as remembered"


def closed_bars(
    world: World, study: Study, strategy: Strategy, last_bar: datetime | None, now: datetime
) -> pl.DataFrame:
    """Read the bars that targets from `last_bar` (the last decided one) to `now` need."""
    step = study.interval.duration
    end = study.interval.floor(now)
    missed = (end - last_bar) // step if last_bar else 0
    count = strategy.warmup_bars + SPARE_BARS + min(max(missed, 0), MAX_MISSED_BARS)
    read = world.bars or world.market.klines
    return read(study.symbol, study.interval, end - count * step, end)
