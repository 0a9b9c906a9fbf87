"""Pages of klines become bars, exactly."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shared_data import shared
from thunes_core.adapters.binance.klines import parse_pages
from thunes_core.domain.bars import SCHEMA, Interval

NUMBERS = st.decimals(min_value=0, max_value=Decimal("99999999999"), places=8).map(str)


def row(at: int, text: str) -> list[Any]:
    """Return one kline in which every number is `text`."""
    return [at, text, text, text, text, text, at + 1, text, 7, text, text, "0"]


def page(*rows: list[Any]) -> bytes:
    """Return rows as the exchange sends them."""
    return json.dumps(list(rows), separators=(",", ":")).encode()


@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_every_number_is_the_nearest_float(texts: list[str]) -> None:
    """Text to Float64 is what Python makes of it, to the last bit."""
    bars = parse_pages([page(*(row(i, t) for i, t in enumerate(texts)))], "BTCUSDT", Interval.H1)
    assert bars["close"].to_list() == [float(t) for t in texts]
    assert bars["taker_buy_quote"].to_list() == [float(t) for t in texts]


def test_pages_stand_one_below_the_other_as_sent() -> None:
    """Order and repeats are left as they are; empty pages vanish."""
    pages = [page(row(2000, "2")), page(), page(row(1000, "1"), row(2000, "2"))]
    bars = parse_pages(pages, "BTCUSDT", Interval.H1)
    assert bars.schema == SCHEMA
    assert bars["close"].to_list() == [2, 1, 2]
    assert bars["open_time"].dt.epoch("ms").to_list() == [2000, 1000, 2000]
    assert bars["trades"].to_list() == [7, 7, 7]


def test_no_pages_are_no_bars() -> None:
    """An empty answer has the schema all the same."""
    assert parse_pages([], "BTCUSDT", Interval.H1).schema == SCHEMA
    assert parse_pages([b"[]", b" [] "], "BTCUSDT", Interval.H1).is_empty()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1,2]",
        b"[[1,2,3]]",
        b'[["a","b"]]',
        b"<html></html>",
        page(["x", *row(1, "1")[1:]]),
        page([*row(1, "1"), "one too many"]),
        page(row(1, "one")),
    ],
)
def test_what_is_no_page_of_klines_is_an_error(content: bytes) -> None:
    """Nothing is guessed from an answer of another shape."""
    with pytest.raises((ValueError, pl.exceptions.PolarsError)):
        parse_pages([content], "BTCUSDT", Interval.H1)


@pytest.mark.parametrize(
    ("name", "interval"),
    [
        ("BTCUSDT_1h_2023-03.json", Interval.H1),
        ("BTCUSDT_4h_2018Q1.json", Interval.H4),
        ("SOLUSDT_15m_2025-01-06.json", Interval.M15),
        ("ETHUSDT_1d_2020-2021.json", Interval.D1),
    ],
)
def test_captured_pages_read_as_python_reads_them(name: str, interval: Interval) -> None:
    """Every field of real pages equals what the JSON says."""
    content = shared(f"fixtures/klines/{name}").read_bytes()
    rows = json.loads(content)
    bars = parse_pages([json.dumps(rows, separators=(",", ":")).encode()], "X1", interval)
    places = {"open": 1, "high": 2, "low": 3, "close": 4, "volume": 5, "quote_volume": 7}
    for column, place in {**places, "taker_buy_base": 9, "taker_buy_quote": 10}.items():
        assert bars[column].to_list() == [float(r[place]) for r in rows]
    assert bars["trades"].to_list() == [r[8] for r in rows]
    assert bars["open_time"].dt.epoch("ms").to_list() == [r[0] for r in rows]
