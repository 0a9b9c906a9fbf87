"""Find out whether a strategy knows what it cannot know, by changing what it must not read.

A backtest of a strategy that peeks is worthless, and reading the code does not show every peek.
So the strategy is run on invented markets and, if given, on real bars: later bars are cut off or
replaced by wild ones at many places, which also finds a peek that never triggers on the bars at
hand; calls are repeated, mixed and made bar by bar as live trading does, which finds state that
leaks from call to call. What passes may still peek in a corner that no probe has reached.

Add here: a way to be caught. Keep out: loading files, printing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from thunes_core.backtest.scenarios import FUTURES, with_future
from thunes_core.strategies.base import Strategy

Fresh = Callable[[], Strategy]
Values = npt.NDArray[np.float64]

SAME = 1e-9
WARM = 1e-6
GROWING_BARS = 24


@dataclass(frozen=True, slots=True)
class Check:
    """One property: whether it holds, and the sentence that says what was seen."""

    name: str
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A frame to test on, other bars to mix in, and how many places to look at."""

    bars: pl.DataFrame
    other: pl.DataFrame
    places: int
    seed: int


class _Failed(Exception):
    """The strategy raised, or returned something that is no exposure."""


def check_strategy(
    fresh: Fresh,
    frames: Sequence[pl.DataFrame],
    *,
    places: int = 16,
    seed: int = 0,
    only: Collection[str] = (),
) -> list[Check]:
    """Return every check (or `only` those named) of the strategy that `fresh` makes.

    `fresh` returns a new, equal strategy at each call, best from newly executed code, so that
    nothing survives in its module. `places` bars are probed in each of `frames`; same seed, same
    probes.
    """
    probes = [
        Probe(bars, frames[(i + 1) % len(frames)], places, seed) for i, bars in enumerate(frames)
    ]
    return [_judge(name, CHECKS[name], fresh, probes) for name in only or CHECKS]


def _judge(name: str, faults: Faults, fresh: Fresh, probes: Sequence[Probe]) -> Check:
    try:
        fault = next((f for probe in probes for f in faults(fresh, probe)), None)
    except _Failed as failure:
        fault = str(failure)
    return Check(name, fault is None, fault or (faults.__doc__ or "").splitlines()[0])


def _run(strategy: Strategy, bars: pl.DataFrame) -> Values:
    """Return the target exposure as floats; null is NaN."""
    try:
        target = strategy.target_exposure(bars)
        values = pl.Series(target).cast(pl.Float64).fill_null(np.nan).to_numpy()
    except Exception as error:  # the strategy is foreign code: whatever it raises is the finding
        raise _Failed(f"it raised {type(error).__name__} on {len(bars)} bars: {error}") from error
    if len(values) != len(bars):
        raise _Failed(f"it gave {len(values)} values for {len(bars)} bars; expected one per bar")
    return values


def _warmup(strategy: Strategy) -> int:
    warmup = getattr(strategy, "warmup_bars", None)
    if not isinstance(warmup, int) or isinstance(warmup, bool) or warmup < 0:
        raise _Failed(f"expected warmup_bars to be a whole number >= 0; it was {warmup!r}")
    return warmup


def exposure_faults(fresh: Fresh, probe: Probe) -> Iterator[str]:
    """Every bar has one exposure in [0, 1], from no bars at all to all of them."""
    for count in (0, 1, 2, len(probe.bars)):
        values = _run(fresh(), probe.bars[:count])
        wrong = np.flatnonzero(~((values >= 0) & (values <= 1)))
        if len(wrong):
            bar = int(wrong[0])
            yield f"{_at(probe.bars, bar)} expected an exposure in [0, 1]; it was {values[bar]}"


def cut_faults(fresh: Fresh, probe: Probe) -> Iterator[str]:
    """Cutting later bars off changes nothing earlier."""
    for cut in _places(fresh, probe):
        part = _run(fresh(), probe.bars[:cut])
        changed = _first_difference(part, _run(fresh(), probe.bars)[:cut])
        if changed is not None:
            yield _changes(probe.bars, changed, cut, "are cut off")


def future_faults(fresh: Fresh, probe: Probe) -> Iterator[str]:
    """Another future changes nothing earlier."""
    strategy, rng = fresh(), np.random.default_rng(probe.seed)
    whole = _run(strategy, probe.bars)
    for cut in _places(fresh, probe):
        for name, future in FUTURES.items():
            values = _run(strategy, with_future(probe.bars, cut, future, rng))
            changed = _first_difference(values[:cut], whole[:cut])
            if changed is not None:
                yield _changes(probe.bars, changed, cut, name)


def warmup_faults(fresh: Fresh, probe: Probe) -> Iterator[str]:
    """A start `warmup_bars` earlier is enough to know a value."""
    warmup = _warmup(fresh())
    whole = _run(fresh(), probe.bars)
    for place in _places(fresh, probe):
        late, full = _run(fresh(), _window(probe.bars, place, warmup))[-1], whole[place - 1]
        if not abs(late - full) <= WARM:
            yield (
                f"{_at(probe.bars, place - 1)} it is {full} with the full history, "
                f"{late} with the warmup_bars = {warmup} bars before"
            )


def repeat_faults(fresh: Fresh, probe: Probe) -> Iterator[str]:
    """The same bars give the same values, again and anew."""
    strategy = fresh()
    once = _run(strategy, probe.bars)
    for what, again in (("again", strategy), ("of a new strategy", fresh())):
        changed = _first_difference(_run(again, probe.bars), once)
        if changed is not None:
            yield f"{_at(probe.bars, changed)} the value of the same bars asked {what} differs"


def state_faults(fresh: Fresh, probe: Probe) -> Iterator[str]:
    """No call changes a later one: other bars before, or bar by bar as in live trading."""
    used, warmup = fresh(), _warmup(fresh())
    _run(used, probe.other)
    last = len(probe.bars)
    for end in [*range(last - GROWING_BARS, last + 1), last // 2, last // 3]:
        window = _window(probe.bars, end, warmup)
        changed = _first_difference(_run(used, window), _run(fresh(), window))
        if changed is not None:
            yield f"{_at(window, changed)} the value depends on the calls made before"


Faults = Callable[[Fresh, Probe], Iterator[str]]
CHECKS: dict[str, Faults] = {
    "exposure": exposure_faults,
    "later bars cut": cut_faults,
    "later bars changed": future_faults,
    "warm-up": warmup_faults,
    "repeatable": repeat_faults,
    "no state": state_faults,
}


def _places(fresh: Fresh, probe: Probe) -> list[int]:
    """Return bars after which to look: where the exposure moves, at extremes, and at random."""
    values, bars, share = _run(fresh(), probe.bars), probe.bars, max(probe.places // 4, 1)
    moves = np.flatnonzero(np.diff(values)) + 1
    returns = np.abs(np.diff(np.log(bars["close"].to_numpy()), prepend=0.0))[1:]
    rng = np.random.default_rng(probe.seed)
    chosen = {
        *rng.choice(moves, min(share, len(moves)), replace=False).tolist(),
        *(np.argsort(returns)[-share:] + 1).tolist(),
        *np.argsort(bars["volume"].to_numpy())[-share:].tolist(),
        *rng.integers(0, len(bars), share).tolist(),
    }
    return sorted(min(bar + 1, len(bars) - 1) for bar in chosen)


def _window(bars: pl.DataFrame, end: int, warmup: int) -> pl.DataFrame:
    return bars[max(end - 1 - warmup, 0) : end]


def _first_difference(values: Values, expected: Values) -> int | None:
    same = (np.abs(values - expected) <= SAME) | (np.isnan(values) & np.isnan(expected))
    return None if same.all() else int(same.argmin())


def _changes(bars: pl.DataFrame, changed: int, cut: int, later: str) -> str:
    return (
        f"{_at(bars, changed)} the value changes when the bars from {_when(bars, cut)} on {later}"
    )


def _at(bars: pl.DataFrame, bar: int) -> str:
    return f"at bar {bar} ({_when(bars, bar)})"


def _when(bars: pl.DataFrame, bar: int) -> str:
    return f"{bars['open_time'][bar]:%Y-%m-%d %H:%M}"
