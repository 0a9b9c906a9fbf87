"""How research is run here: options from the settings, counts of luck from the lake, run tags.

Assets and commands share it, so that both search and judge alike.

Add here: a choice that both must make alike. Keep out: formulas, storage.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from thunes_core.domain.bars import parse_interval
from thunes_core.domain.parameters import split_study_key
from thunes_core.errors import BadInput, NoEvidence
from thunes_pipelines.lineage import month_hashes

if TYPE_CHECKING:
    from thunes_core.adapters.bars.store import BarStore
    from thunes_core.adapters.walks import Tries, WalkStore
    from thunes_core.domain.parameters import Champion
    from thunes_core.domain.results import WalkForwardResult
    from thunes_core.research.compute import Compute
    from thunes_core.research.figures import Luck
    from thunes_core.research.promotion import PromotionPolicy
    from thunes_core.research.search import Studies
    from thunes_core.research.walk_forward import WalkForwardOptions
    from thunes_core.research.windows import Terms
    from thunes_core.settings import Settings


def walk_store(settings: Settings) -> WalkStore:
    """Open the walk-forwards of the lake."""
    from thunes_core.adapters.walks import WalkStore

    return WalkStore(settings.lake_root)


def terms(settings: Settings) -> Terms:
    """Return the terms on which every run of research is made."""
    from thunes_core.research.windows import Terms

    return Terms(float(settings.allotment_quote), settings.costs, settings.protection)


def options(settings: Settings) -> WalkForwardOptions:
    """Return how to walk forward."""
    from thunes_core.research.search import Stopping
    from thunes_core.research.walk_forward import WalkForwardOptions

    return WalkForwardOptions(
        folds=settings.folds,
        trials=settings.trials,
        seed=settings.seed,
        anchored=settings.anchored,
        train_share=settings.train_share,
        purge_bars=settings.purge_bars,
        min_trades=settings.min_trades,
        max_drawdown=settings.max_search_drawdown,
        sampler=settings.sampler,
        objectives=settings.objectives,
        stopping=Stopping(settings.stagnation_trials, settings.regret),
        parts=settings.pruning_parts,
        terms=terms(settings),
        studies=studies(settings),
    )


def studies(settings: Settings) -> Studies:
    """Return where trials are kept: PostgreSQL where one is named, else `THUNES_HOME/studies`."""
    from thunes_core.research.search import JournalFolder, Relational

    if settings.optuna_url:
        return Relational(settings.optuna_url)
    return JournalFolder(settings.home / "studies")


def compute(settings: Settings) -> Compute:
    """Return where folds are run."""
    from thunes_core.adapters.compute import Dask, Processes
    from thunes_core.research.compute import in_turn

    if settings.compute == "processes":
        return Processes(settings.compute_workers)
    if settings.compute == "dask":
        return Dask(settings.dask_scheduler, settings.compute_workers)
    return in_turn


def policy(settings: Settings) -> PromotionPolicy:
    """Return the promotion policy; `BadInput` for `bootstrap` on an account with real money."""
    from thunes_core.research.promotion import PromotionPolicy

    chosen = PromotionPolicy(settings.promotion)
    plays = settings.exchange == "local" or settings.broker == "paper"
    if chosen is PromotionPolicy.BOOTSTRAP and not plays:
        raise BadInput(
            "THUNES_PROMOTION: expected strict for an account with real money; it was bootstrap; "
            "use broker paper or the local testnet, or set it to strict"
        )
    return chosen


def history(
    store: BarStore, study: str, settings: Settings, until: datetime | None = None
) -> pl.DataFrame:
    """Read `history_days` of the study's bars; `NoEvidence` when there are none.

    They end at `until` (excluded), by default at the newest stored midnight UTC: a search that was
    killed, or is asked for again on that day, then has the same bars and goes on where it was.
    """
    _, symbol, name = split_study_key(study)
    interval = parse_interval(name)
    span = store.span(symbol, interval)
    if span is None:
        raise NoEvidence(
            f"{study}: expected stored {interval} bars of {symbol}; there are none; run the job "
            "`ingest`, or `thunes ingest`"
        )
    newest = span[1] + interval.duration
    midnight = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    end = until or (midnight if midnight > span[0] else newest)
    return store.read(symbol, interval, end - timedelta(days=settings.history_days), end)


def under_evidence(
    store: BarStore, champion: Champion | None, settings: Settings
) -> pl.DataFrame | None:
    """Read the span that a champion's evidence was made of, as it is stored now.

    A search of it after a revision runs only the folds whose training the revision touched. None
    where there is no champion, or its walk-forward is not kept.
    """
    if champion is None:
        return None
    _, symbol, interval = split_study_key(champion.study)
    walk = walk_store(settings).of_choice(champion.study, champion.parameters.fingerprint)
    if walk is None:
        return None
    bars = store.read(symbol, parse_interval(interval), walk.bars_from, walk.chosen_until)
    return bars if bars.height else None


def bars_of(store: BarStore, result: WalkForwardResult) -> pl.DataFrame:
    """Read the bars that a walk was made of; `NoEvidence` when they were revised since."""
    from thunes_core.domain.bars import fingerprint

    interval = parse_interval(result.interval)
    bars = store.read(result.symbol, interval, result.bars_from, result.chosen_until)
    if fingerprint(bars) != result.data_fingerprint:
        raise NoEvidence(
            f"{result.strategy}.{result.symbol}.{result.interval}: expected the bars that the "
            "walk-forward was made of; they were revised since; materialise `walk_forward` again"
        )
    return bars


def luck(study: str, settings: Settings) -> Luck:
    """Turn the counts of all tries, stored and unfinished, into what deflates Sharpe ratios."""
    from thunes_core.research.figures import Luck

    tries: Tries = walk_store(settings).tries(study, studies(settings).counted(study))
    return Luck(
        walk_forwards=max(len(tries.walk_sharpes), 1),
        walk_forward_variance=_daily_variance(tries.walk_sharpes),
        trials=max(tries.trials, 1),
        trial_variance=_daily_variance(tries.trial_sharpes),
    )


def _daily_variance(sharpes: tuple[float, ...]) -> float | None:
    """Return the variance (ddof 1) of annual Sharpe ratios, per day; None below two."""
    return pl.Series(sharpes).var() / 365 if len(sharpes) > 1 else None  # type: ignore[operator,return-value] # polars says Any number


def context(run_id: str, result: WalkForwardResult, bars: pl.DataFrame) -> dict[str, str]:
    """Return the tags that say where a candidate comes from: code, run, walk, months of bars."""
    from thunes_core.adapters.walks import walk_id

    return {
        "code": code_version(),
        "dagster_run": run_id,
        "walk": walk_id(result),
        "trials": str(result.trials),
        "months": json.dumps(month_hashes(bars)),
    }


def code_version() -> str:
    """Return the installed version, with the commit where this is a checkout."""
    git = Path(__file__).resolve().parents[1] / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        commit = (git / head[5:]).read_text() if head.startswith("ref: ") else head
    except OSError:
        return version("thunes")
    return f"{version('thunes')}+{commit[:12].strip()}"
