"""What speaks for a new search: each trigger by a real evaluation of its sensor, once a cause."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import dagster as dg
import numpy as np
import polars as pl
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from tests.planted import Planted, market
from tests.thunes_pipelines.houses import NOON, DeadMarket, StillMarket, house_at
from tests.thunes_pipelines.test_schedules import running
from thunes_core.adapters.walks import WalkStore
from thunes_core.domain.bars import Interval
from thunes_core.domain.orders import Fill, Leg, OrderRequest, OrderStatus, OrderType, Side
from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import EquityMark, OrderRecord, Shadow, ShadowDecision
from thunes_core.indicators.columns import columns_of
from thunes_core.research import models
from thunes_core.research.due import Watch
from thunes_core.research.walk_forward import WalkForwardOptions, walk_forward
from thunes_core.strategies.learned_direction import LearnedDirection
from thunes_pipelines import policies, research_sensors
from thunes_pipelines.build import build_definitions

STUDY = "sma_crossover.BTCUSDT.1h"
LEARNED = "learned_direction.BTCUSDT.1h"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BARS = market(Planted(4.0), 24 * 140, seed=1).with_columns(symbol=pl.lit("BTCUSDT"))
KNOWN = BARS[: 24 * 120]
"""What the evidence was made of; the days after it are still to come."""
END = KNOWN["open_time"][-1] + HOUR
WALK = walk_forward(
    KNOWN,
    strategy="sma_crossover",
    symbol="BTCUSDT",
    interval="1h",
    options=WalkForwardOptions(folds=2, trials=5, purge_bars=0),
)
CHOSEN = ParameterSet("sma_crossover", {"fast": 10, "slow": 30})
DEFINITIONS = build_definitions()
SENSORS = {sensor.name: sensor for sensor in DEFINITIONS.sensors}
LIVE, DRIFT, AGE, NEW, REVISED = (
    f"reoptimise_on_{name}"
    for name in (
        "live_results",
        "drift",
        "age",
        "new_data",
        "revision",
    )
)


@pytest.fixture
def instance():
    """A Dagster instance of its own, in memory."""
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions("study", [STUDY])
        yield made


def look(name, instance, house, cursor=None):
    """Evaluate the sensor as the daemon does."""
    context = dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        resources={"house": house},
        sensor_name=name,
        definitions=DEFINITIONS,
    )
    with partition_loading_context(dynamic_partitions_store=instance):
        return SENSORS[name].evaluate_tick(context)


def promote(house, version="1", at=NOON, chosen=CHOSEN, study=STUDY):
    """Put a champion in force, as a tick does."""
    with closing(house.ledger()) as ledger:
        ledger.remember_champion(Champion(study, chosen, version, "run"), at)


def mark(house, *equity, start=NOON):
    """Record one equity mark an hour."""
    with closing(house.ledger()) as ledger:
        for hour, value in enumerate(equity):
            at = start + timedelta(hours=hour)
            ledger.record_tick(EquityMark(at, Decimal(value), Decimal(value), Decimal(0)), {})


def store(house, bars):
    """Store bars as if the exchange reported them now."""
    end = bars["open_time"][-1] + HOUR
    house.bars().replace_window(
        bars,
        symbol="BTCUSDT",
        interval=Interval.H1,
        start=bars["open_time"][0],
        end=end,
        observed_at=end,
    )


@pytest.fixture
def standing(tmp_path):
    """A house whose champion stands on a kept walk-forward, ten days ago; nothing is amiss."""
    clock = StillMarket(END + 10 * DAY)
    house = house_at(tmp_path, clock, trials=5, folds=2)
    store(house, BARS[: 24 * 130])
    WalkStore(house.settings().lake_root).save(WALK)
    promote(house, at=END, chosen=WALK.chosen)
    return house, clock


def test_no_champion_asks_for_nothing(instance, tmp_path):
    """Before anything was promoted no trigger has anything to look at."""
    house = house_at(tmp_path)
    for trigger in research_sensors.TRIGGERS:
        assert not look(trigger.name, instance, house).run_requests


def test_a_dead_exchange_is_a_skip_with_its_sentence(instance, tmp_path):
    """Sensors do not fail on an outage, they say it."""
    said = look(AGE, instance, house_at(tmp_path, DeadMarket()))
    assert "start it" in said.skip_message


def test_a_champion_that_keeps_its_promise_asks_for_nothing(instance, standing):
    """Evidence kept, bars unchanged, market the same: every trigger is quiet."""
    for trigger in research_sensors.TRIGGERS:
        assert not look(trigger.name, instance, standing[0]).run_requests


def test_an_old_champion_starts_one_search(instance, tmp_path):
    """Age is measured on the exchange's clock from the champion's first use."""
    clock = StillMarket(NOON)
    house = house_at(tmp_path, clock, champion_max_age_days=30)
    promote(house)
    first = look(AGE, instance, house)
    assert not first.run_requests
    clock.now = NOON + 31 * DAY
    second = look(AGE, instance, house, first.cursor)
    (request,) = second.run_requests
    assert request.partition_key == STUDY
    assert request.tags[policies.CAUSE] == "age"
    assert not look(AGE, instance, house, second.cursor).run_requests


def test_an_old_champion_that_a_search_kept_is_left_alone_for_as_long(instance, standing):
    """Old, searched, kept: the next search for its age comes a whole age later, not a cool-off."""
    house, clock = standing
    eager = house_at(house.settings().home, clock, champion_max_age_days=9)
    first = look(AGE, instance, eager)
    assert first.run_requests
    longer = walk_forward(
        BARS[: 24 * 130],
        strategy="sma_crossover",
        symbol="BTCUSDT",
        interval="1h",
        options=WalkForwardOptions(folds=2, trials=5, purge_bars=0),
    )
    WalkStore(house.settings().lake_root).save(longer)
    clock.now += 2 * policies.REOPTIMISE_COOL_OFF
    kept = look(AGE, instance, eager, first.cursor)
    assert not kept.run_requests
    clock.now += 2 * policies.REOPTIMISE_COOL_OFF
    assert look(AGE, instance, eager, kept.cursor).run_requests


def test_a_cause_that_stands_is_asked_for_again_after_the_cool_off(instance, tmp_path):
    """The search ended in "keep" and the cause stands: again later, under another key."""
    clock = StillMarket(NOON + 31 * DAY)
    house = house_at(tmp_path, clock)
    promote(house)
    first = look(AGE, instance, house)
    clock.now += policies.REOPTIMISE_COOL_OFF
    again = look(AGE, instance, house, first.cursor)
    assert first.run_requests[0].run_key != again.run_requests[0].run_key


def test_a_lost_cursor_asks_under_the_same_key(instance, tmp_path):
    """Dagster drops a run key it has seen: a reset cursor cannot start a second run."""
    house = house_at(tmp_path, StillMarket(NOON + 31 * DAY))
    promote(house)
    asked = [look(AGE, instance, house).run_requests[0].run_key for _ in range(2)]
    assert asked[0] == asked[1]


def test_a_search_of_another_cause_quiets_the_rest(instance, standing):
    """Just after any search a new one would see nothing new, whatever the trigger."""
    house, clock = standing
    clock.now = END + DAY
    asked = look(LIVE, instance, house)
    mark(house, 1000, 400, start=END + HOUR)
    assert not look(LIVE, instance, house, asked.cursor).run_requests
    clock.now = END + policies.REOPTIMISE_COOL_OFF
    assert look(LIVE, instance, house, asked.cursor).run_requests


def test_a_deep_live_drawdown_starts_a_search(instance, tmp_path):
    """Equity fell 40 % from its peak since the champion took over; 30 % are allowed."""
    house = house_at(tmp_path, StillMarket(NOON + DAY), max_live_drawdown=0.3)
    promote(house)
    mark(house, 1000, 1500, 900)
    (request,) = look(LIVE, instance, house).run_requests
    assert request.tags[policies.CAUSE] == "drawdown"
    assert "lost 40.0% live" in request.tags[policies.WHY]


def test_losses_of_an_earlier_champion_do_not_count(instance, tmp_path):
    """A new version starts with a clean sheet."""
    house = house_at(tmp_path, StillMarket(NOON + 2 * DAY), max_live_drawdown=0.3)
    mark(house, 1500, 900, start=NOON - DAY)
    promote(house, version="2")
    mark(house, 900, 910)
    assert not look(LIVE, instance, house).run_requests


def bought(house, quantity, price, at):
    """Record one fill of the study."""
    money = [Decimal(str(value)) for value in (price, quantity, 0)]
    request = OrderRequest(
        "BTCUSDT", Side.BUY, OrderType.MARKET, money[1], "th-1", Leg.ENTRY, level=1.0
    )
    record = OrderRecord(request, "sma_crossover", at, OrderStatus.INTENDED, at)
    book = Position("sma_crossover", "BTCUSDT", cash=Decimal(1000))
    with closing(house.ledger()) as ledger:
        ledger.record_intents(book, [record])
        fill = Fill("BTCUSDT", "7", "99", "th-1", Side.BUY, *money, "USDT", False, at)
        ledger.record_fill(
            fill, record=record, position=book, trade=None, fee_quote=Decimal(0), moved={}
        )


def test_live_results_below_the_band_start_a_search(instance, standing):
    """Bought dear, marked at a tenth: far below what the evidence promised for ten days."""
    house, _ = standing
    close = float(BARS["close"][24 * 120])
    bought(house, 900 / close, close * 10, END + DAY)
    (request,) = look(LIVE, instance, house).run_requests
    assert request.tags[policies.CAUSE] == "band"
    assert "below the promised" in request.tags[policies.WHY]


def test_another_volatility_starts_a_search(instance, standing):
    """Moves three times as large as any month of the training has seen."""
    house, _ = standing
    later = BARS[24 * 120 : 24 * 130]
    wild = np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.05, later.height)))
    price = later["close"][0] * wild
    store(
        house,
        later.with_columns(
            open=pl.Series(price),
            close=pl.Series(price),
            high=pl.Series(price * 1.01),
            low=pl.Series(price * 0.99),
        ),
    )
    (request,) = look(DRIFT, instance, house).run_requests
    assert request.tags[policies.CAUSE] == "volatility"
    assert "in training" in request.tags[policies.WHY]


def test_features_that_left_the_deciles_of_a_classifier_start_a_search(instance, standing):
    """Ten days that only rise, no wilder than before, against the deciles the model came with."""
    before, clock = standing
    house = house_at(before.settings().home, clock, strategies="learned_direction")
    strategy = LearnedDirection(kind="logistic")
    model = models.fitted(columns_of(KNOWN), 200, strategy).document
    values = {name: getattr(strategy, name) for name in strategy.space.dimensions}
    chosen = ParameterSet("learned_direction", {**values, "model": model})
    walk = replace(WALK, strategy=chosen.strategy, chosen=chosen)
    WalkStore(house.settings().lake_root).save(walk)
    promote(house, at=END, chosen=chosen, study=LEARNED)
    instance.add_dynamic_partitions("study", [LEARNED])
    assert not look(DRIFT, instance, house).run_requests
    rise = np.exp(0.02 * np.arange(1, 24 * 10 + 1))
    later = BARS[24 * 120 : 24 * 130]
    store(house, later.with_columns(pl.col("open", "high", "low", "close") * pl.Series(rise)))
    (request,) = look(DRIFT, instance, house).run_requests
    assert request.partition_key == LEARNED
    assert request.tags[policies.CAUSE] == "features"
    assert "PSI" in request.tags[policies.WHY]


def test_enough_new_bars_start_a_search(instance, standing):
    """Ten days of unseen bars, where eight are asked for."""
    house, clock = standing
    assert not look(NEW, instance, house).run_requests
    eager = house_at(house.settings().home, clock, new_data_days=8)
    (request,) = look(NEW, instance, eager).run_requests
    assert request.tags[policies.CAUSE] == "new_data"
    assert "10 days of bars that no search has seen" in request.tags[policies.WHY]


def test_one_revision_starts_one_search_and_the_next_another(instance, standing):
    """The key names the bars' content: the same revision asks once, even after the cool-off."""
    house, clock = standing
    store(house, changed(2.0))
    first = look(REVISED, instance, house)
    (request,) = first.run_requests
    assert request.tags[policies.CAUSE] == "revision"
    clock.now += 2 * policies.REOPTIMISE_COOL_OFF
    quiet = look(REVISED, instance, house, first.cursor)
    assert not quiet.run_requests
    store(house, changed(3.0))
    (again,) = look(REVISED, instance, house, quiet.cursor).run_requests
    assert again.run_key != request.run_key


def changed(volume):
    """Return the known bars with one volume reported differently."""
    first = pl.col("open_time") == KNOWN["open_time"][100]
    return KNOWN.with_columns(volume=pl.when(first).then(volume).otherwise(pl.col("volume")))


def test_a_study_being_searched_is_not_asked_for(instance, tmp_path):
    """The cause is remembered as not yet asked."""
    house = house_at(tmp_path, StillMarket(NOON + 31 * DAY))
    promote(house)
    running(instance, "reoptimise", **{"dagster/partition": STUDY})
    result = look(AGE, instance, house)
    assert not result.run_requests
    assert research_sensors.read_watches(result.cursor)[STUDY].asked == 0


def test_watches_survive_the_cursor():
    """What is remembered is read back as it was."""
    watch = Watch(STUDY, "3", NOON, 2, NOON, "abc")
    fresh = replace(watch, study="rsi_reversion.BTCUSDT.1h", asked_at=None)
    kept = research_sensors.read_watches(research_sensors.write_watches([watch, fresh]))
    assert kept == {watch.study: watch, fresh.study: fresh}


def test_a_shadow_whose_days_are_recorded_is_promoted_once(instance, tmp_path):
    """Waiting says how far it is; with all bars there one run is asked for, keyed by version."""
    house = house_at(tmp_path, shadow_days=1)
    name = "promote_after_shadow"
    with closing(house.ledger()) as ledger:
        ledger.begin_shadow(Shadow(Champion(STUDY, CHOSEN, "4", "run"), NOON))
        decide(ledger, range(23))
        waiting = look(name, instance, house)
        assert "23 of 24 bars" in waiting.skip_message
        decide(ledger, [23])
    done = look(name, instance, house, waiting.cursor)
    (request,) = done.run_requests
    assert request.run_key == f"shadow-{STUDY}-v4"
    config = request.run_config["ops"]["promote_version"]["config"]
    assert config == {"study": STUDY, "version": "4"}
    assert not look(name, instance, house, done.cursor).run_requests


def decide(ledger, hours):
    """Record what version 4 wanted at those hours."""
    ledger.record_shadow_decisions(
        [ShadowDecision(STUDY, "4", NOON + h * HOUR, 1.0, Decimal(100), NOON) for h in hours]
    )
