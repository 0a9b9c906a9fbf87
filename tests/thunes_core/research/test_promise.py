"""Live results against the band that the evidence promised, by hand."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from thunes_core.research.promise import Standing, live_equity, promised_equity, standing

START, DAY = datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=1)
TIME = pl.Datetime("us", "UTC")
BAND = pl.DataFrame(
    {
        "day": range(1, 11),
        "low": [1.0 - 0.01 * n for n in range(1, 11)],
        "middle": [1.0] * 10,
        "high": [1.0 + 0.02 * n for n in range(1, 11)],
    }
)
FILLS = {
    "time": TIME,
    "side": pl.String,
    "price": pl.Float64,
    "quantity": pl.Float64,
    "fee_quote": pl.Float64,
}


def fills(*rows):
    """Return fills: (day, side, price, quantity, fee)."""
    made = [(START + day * DAY + timedelta(hours=3), *rest) for day, *rest in rows]
    return pl.DataFrame(made, schema=FILLS, orient="row")


def closes(*values):
    """Return two bars a day, of which the second closes at the value."""
    rows = [
        (START + day * DAY + timedelta(hours=hour), value + extra)
        for day, value in enumerate(values)
        for hour, extra in ((0, 5.0), (12, 0.0))
    ]
    return pl.DataFrame(rows, schema={"open_time": TIME, "close": pl.Float64}, orient="row")


def equity(*values):
    """Return the equity at the end of each day."""
    return pl.DataFrame(
        {"time": [START + n * DAY for n in range(len(values))], "equity": values},
        schema={"time": TIME, "equity": pl.Float64},
    )


def test_equity_of_a_study_is_cash_and_what_it_holds_at_the_close():
    """Bought two at 100 for a fee of 1, sold one at 110 for 1; the rest is worth its close."""
    made = live_equity(
        fills((1, "BUY", 100.0, 2.0, 1.0), (3, "SELL", 110.0, 1.0, 1.0)),
        closes(90.0, 105.0, 95.0, 120.0),
        1000.0,
    )
    assert made["equity"].to_list() == [1000.0, 1009.0, 989.0, 1028.0]


def test_before_any_fill_a_study_is_worth_its_allotment():
    """No fills at all: flat at the allotment."""
    assert live_equity(fills(), closes(1.0, 2.0), 500.0)["equity"].to_list() == [500.0, 500.0]


@pytest.mark.parametrize(
    ("last", "outside"), [(1000.0, ""), (929.0, "below"), (1141.0, "above"), (931.0, "")]
)
def test_the_newest_day_is_held_against_its_own_part_of_the_band(last, outside):
    """Seven days after the takeover 0.93 to 1.14 was promised."""
    found = standing(equity(800.0, *[1000.0] * 7, last), BAND, START + DAY + timedelta(hours=9))
    assert found.days == 7
    assert found.outside == outside


def test_a_few_days_say_nothing():
    """On the third day even a deep fall is not yet held against the evidence."""
    found = standing(equity(1000.0, 1000.0, 500.0, 500.0), BAND, START)
    assert found.growth == 0.5
    assert found.outside == ""


def test_there_is_no_standing_without_days_or_beyond_the_band():
    """The day of the takeover itself, a time before anything is known, and after the last day."""
    assert standing(equity(1000.0), BAND, START) is None
    assert standing(equity(1000.0), BAND, START - DAY) is None
    assert standing(equity(*[1000.0] * 20), BAND, START) is None


def test_the_band_is_drawn_in_money_from_the_takeover_on():
    """Low and high of each day, of what the book was worth when the champion took over."""
    drawn = promised_equity(equity(900.0, 1000.0, 1000.0, 1000.0), BAND, START + DAY)
    assert drawn["low"].to_list() == pytest.approx([990.0, 980.0])
    assert drawn["high"].to_list() == pytest.approx([1020.0, 1040.0])
    assert drawn["time"].to_list() == [START + 2 * DAY, START + 3 * DAY]


def test_the_sentence_names_growth_days_and_band():
    """One line for people."""
    assert Standing(8, 0.9, 0.95, 1.2).sentence() == (
        "-10.0% live in 8 days, below the promised -5.0% to +20.0%"
    )
