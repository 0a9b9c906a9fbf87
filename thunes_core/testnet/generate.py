"""Invented candles: seeded, deterministic, with regimes of trend and volatility.

A chain of regimes (rising, falling, quiet, wild) sets drift and volatility; the farther prices
have gone from where they began, the likelier the next trend leads back. Prices walk in six steps a
candle. Blocks of 90 days are drawn one after the other, each from its own seed, so that the same
seed, symbol and origin give the same candles whatever was asked first.

Add here: a property real candles have and these lack. Keep out: the price path inside a candle.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from thunes_core.domain.bars import Interval
from thunes_core.testnet.series import Floats, Ints, PathOrder, Series

BLOCK_DAYS = 90
_STEPS = 6


@dataclass(frozen=True, slots=True)
class Regime:
    """Drift and volatility of log prices per hour, and how long it lasts on average (hours)."""

    drift: float
    volatility: float
    mean_hours: float


REGIMES = (
    Regime(drift=0.00055, volatility=0.0045, mean_hours=200),  # rising
    Regime(drift=-0.00055, volatility=0.0055, mean_hours=180),  # falling
    Regime(drift=0.0, volatility=0.0025, mean_hours=90),  # quiet
    Regime(drift=0.0, volatility=0.0095, mean_hours=36),  # wild
)
_REST = 0.3
"""How often a trend is followed by a quiet or wild time; after those always comes a trend."""


class Generator:
    """Draws the candles of one symbol, block after block, from `origin_ms` on."""

    def __init__(
        self,
        symbol: str,
        interval: Interval,
        *,
        seed: int,
        origin_ms: int,
        start_price: float,
        tick: float,
        order: PathOrder = PathOrder.LOW_FIRST,
    ) -> None:
        self._seed = (seed, zlib.crc32(symbol.encode()))
        self._interval = interval
        self._next_ms = origin_ms
        self._start_price = start_price
        self._price = start_price
        self._base_volume = 5e6 / start_price * interval.minutes / 60
        self._tick = tick
        self._order = order
        self._block = 0
        self._regime = 0
        self._drifted = 0.0

    def next_block(self) -> Series:
        """Draw the next 90 days."""
        draw = np.random.default_rng((*self._seed, self._block))
        self._drifted = float(np.log(self._price / self._start_price))
        count = BLOCK_DAYS * 1440 // self._interval.minutes
        prices = self._prices(draw, self._regimes(draw, count))
        time = self._next_ms + np.arange(count, dtype=np.int64) * self._interval.minutes * 60_000
        self._block += 1
        self._next_ms = int(time[-1]) + self._interval.minutes * 60_000
        self._price = float(prices[3][-1])
        volume, quote, trades, taker, taker_quote = self._volumes(draw, prices)
        return Series(
            self._interval,
            time,
            *prices,
            volume=volume,
            quote_volume=quote,
            trades=trades,
            taker_base=taker,
            taker_quote=taker_quote,
            order=self._order,
        )

    def _regimes(self, draw: np.random.Generator, count: int) -> Ints:
        hours = self._interval.minutes / 60
        state = np.empty(count, dtype=np.int64)
        position = 0
        while position < count:
            regime = REGIMES[self._regime]
            length = 1 + int(regime.mean_hours * (0.4 + draw.exponential(0.6)) / hours)
            state[position : position + length] = self._regime
            position += length
            self._drifted += regime.drift * hours * length
            self._regime = self._next_regime(draw)
        return state

    def _next_regime(self, draw: np.random.Generator) -> int:
        """Return the index of the regime after this one."""
        rests = self._regime < 2 and draw.random() < _REST
        if rests:
            return 2 + int(draw.random() < 0.4)
        rises = draw.random() < np.clip(0.5 - 0.5 * self._drifted, 0.05, 0.95)
        return 0 if rises else 1

    def _prices(
        self, draw: np.random.Generator, state: Ints
    ) -> tuple[Floats, Floats, Floats, Floats]:
        hours = self._interval.minutes / 60
        drift = np.array([r.drift for r in REGIMES])[state] * hours
        spread = np.array([r.volatility for r in REGIMES])[state] * np.sqrt(hours)
        noise = draw.standard_t(5, size=(len(state), _STEPS)) / np.sqrt(5 / 3)
        moves = drift[:, None] / _STEPS + noise * (spread / np.sqrt(_STEPS))[:, None]
        walk = np.log(self._price) + np.cumsum(moves.ravel()).reshape(moves.shape)
        first = np.concatenate([[np.log(self._price)], walk[:-1, -1]])
        opened = first + draw.standard_normal(len(state)) * spread * 0.01
        path = np.column_stack([opened, walk])
        corners = (path[:, 0], path.max(axis=1), path.min(axis=1), path[:, -1])
        opens, highs, lows, closes = (self._on_tick(np.exp(corner)) for corner in corners)
        return opens, highs, lows, closes

    def _on_tick(self, price: Floats) -> Floats:
        decimals = max(0, round(-np.log10(self._tick)))
        ticks = np.maximum(np.rint(price / self._tick), 1.0)
        return np.round(ticks * self._tick, decimals)

    def _volumes(
        self, draw: np.random.Generator, prices: tuple[Floats, Floats, Floats, Floats]
    ) -> tuple[Floats, Floats, Ints, Floats, Floats]:
        opened, high, low, close = prices
        lively = 1 + 40 * (high - low) / opened
        volume = np.round(self._base_volume * lively * draw.lognormal(0, 0.4, len(close)), 5)
        quote = np.round(volume * (opened + high + low + close) / 4, 8)
        share = np.clip(
            0.5 + 8 * (close - opened) / opened + draw.normal(0, 0.04, len(close)), 0.05, 0.95
        )
        trades = np.maximum(1, quote / 700).astype(np.int64)
        return volume, quote, trades, np.round(volume * share, 5), np.round(quote * share, 8)
