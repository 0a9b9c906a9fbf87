"""Walk-forwards in the lake: what was found, and the count of all that were ever made.

`research/study=…/walk=…/` holds `walk.json` (spans, choices, metrics) and Parquet tables (stitched
curve, curves of the tests, trials); `latest` names the newest. A walk's name follows from what it
was made of, so that the same walk made twice is counted once.

Add here: another question to past walks. Keep out: running and judging them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from thunes_core.domain.parameters import ParameterSet, split_study_key, study_key
from thunes_core.domain.results import FoldResult, WalkForwardResult
from thunes_core.errors import NoEvidence, StoreFailed
from thunes_core.research.search import Counted

_TABLES = ("stitched", "tests", "trials")


@dataclass(frozen=True, slots=True)
class Tries:
    """How often luck was tried: walks judged for symbol and interval, trials run for the study.

    The Sharpe ratios are per year, of the stitched curves and of the trials.
    """

    walk_sharpes: tuple[float, ...]
    trial_sharpes: tuple[float, ...]
    trials: int


class WalkStore:
    """Walk-forwards under `root` (the lake); writes are moved into place whole."""

    def __init__(self, root: Path) -> None:
        self._root = root / "research"

    def save(self, result: WalkForwardResult, *, newest: bool = True) -> Path:
        """Keep a walk, by default as its study's newest; return its folder."""
        study = study_key(result.strategy, result.symbol, result.interval)
        home = self._root / f"study={study}"
        folder = home / f"walk={walk_id(result)}"
        beside = home / f".{folder.name}.{os.getpid()}.tmp"
        try:
            shutil.rmtree(beside, ignore_errors=True)
            _write(beside, result)
            shutil.rmtree(folder, ignore_errors=True)
            beside.replace(folder)
            if newest:
                _point(home / "latest", folder.name)
        except OSError as error:
            shutil.rmtree(beside, ignore_errors=True)
            raise StoreFailed(
                f"walk-forward: {folder} cannot be written ({error}); free space or correct its "
                "permissions"
            ) from error
        return folder

    def studies(self) -> list[str]:
        """Return the studies that were ever walked forward, by name."""
        return sorted(home.name.removeprefix("study=") for home in self._root.glob("study=*"))

    def newest(self, study: str) -> WalkForwardResult:
        """Return the newest walk of `study`, or raise `NoEvidence`."""
        home = self._root / f"study={study}"
        try:
            return _read(home / (home / "latest").read_text().strip())
        except FileNotFoundError as error:
            raise NoEvidence(
                f"{study}: expected a walk-forward in {home}; there is none; materialise the asset "
                "`walk_forward`, or run `thunes walk-forward`"
            ) from error

    def of_choice(self, study: str, fingerprint: str) -> WalkForwardResult | None:
        """Return the newest walk whose choice has that fingerprint: what a champion stands on.

        Of walks over the same span it is the one made last, of bars revised in between.
        """
        documents = [
            (json.loads(path.read_text()), path)
            for path in self._root.glob(f"study={study}/walk=*/walk.json")
        ]
        found = [
            (kept["chosen_until"] or "", path.stat().st_mtime_ns, path.parent)
            for kept, path in documents
            if ParameterSet(kept["strategy"], kept["chosen"]).fingerprint == fingerprint
        ]
        return _read(max(found)[-1]) if found else None

    def searched_until(self, study: str) -> datetime | None:
        """Return the end of the newest bar that any walk of `study` saw; None without walks."""
        ends = [
            json.loads(path.read_text())["chosen_until"]
            for path in self._root.glob(f"study={study}/walk=*/walk.json")
        ]
        return max((end for end in map(_moment, ends) if end is not None), default=None)

    def tries(self, study: str, counted: Iterable[Counted] = ()) -> Tries:
        """Count every walk of the study's symbol and interval, and every trial of the study.

        A search that several walks share is counted once; `counted` are the searches that are kept
        as studies, those of walks that never ended included.
        """
        _, symbol, interval = split_study_key(study)
        walks = tuple(
            json.loads(path.read_text())["metrics"].get("sharpe") or 0.0
            for path in sorted(self._root.glob(f"study=*.{symbol}.{interval}/walk=*/walk.json"))
        )
        searches: dict[str, Counted] = {}
        for one in (*self._searches(study), *counted):
            before = searches.get(one.search)
            if before is None or one.trials > before.trials:
                searches[one.search] = one
        sharpes = tuple(s for one in searches.values() for s in one.sharpes)
        return Tries(walks, sharpes, sum(one.trials for one in searches.values()))

    def _searches(self, study: str) -> Iterator[Counted]:
        """Yield the searches of all stored walks; those of older walks have no name."""
        for path in self._trial_files(study):
            table = pl.read_parquet(path)
            if "search" not in table.columns:
                table = table.with_columns(search=pl.lit(str(path)))
            for (name,), rows in table.group_by("search", maintain_order=True):
                sharpes = tuple(rows["sharpe"].drop_nulls().drop_nans())
                yield Counted(str(name), rows.height, sharpes)

    def _trial_files(self, study: str) -> Iterator[Path]:
        return iter(sorted((self._root / f"study={study}").glob("walk=*/trials.parquet")))


def walk_id(result: WalkForwardResult) -> str:
    """Name a walk by its bars, folds, trials and choices."""
    made_of = (
        result.data_fingerprint,
        result.trials,
        [(f.train_start, f.test_start, f.test_end, f.parameters.canonical()) for f in result.folds],
        result.chosen.canonical(),
    )
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]


def _write(folder: Path, result: WalkForwardResult) -> None:
    folder.mkdir(parents=True)
    tests = [f.test_equity.with_columns(fold=pl.lit(f.number)) for f in result.folds]
    tables = (result.stitched, pl.concat(tests), result.trial_table)
    for name, table in zip(_TABLES, tables, strict=True):
        table.write_parquet(folder / f"{name}.parquet", compression="zstd")
    for name, body in result.files.items():
        (folder / name).write_bytes(body)
    (folder / "walk.json").write_text(json.dumps(_document(result), sort_keys=True, indent=1))


def _point(link: Path, name: str) -> None:
    beside = link.with_name(f".{link.name}.{os.getpid()}.tmp")
    beside.write_text(name + "\n")
    beside.replace(link)


def _document(result: WalkForwardResult) -> dict[str, Any]:
    return {
        "strategy": result.strategy,
        "symbol": result.symbol,
        "interval": result.interval,
        "metrics": _finite(result.metrics),
        "chosen": result.chosen.values,
        "bars_from": _text(result.bars_from),
        "chosen_from": _text(result.chosen_from),
        "chosen_until": _text(result.chosen_until),
        "trials": result.trials,
        "data_fingerprint": result.data_fingerprint,
        "files": sorted(result.files),
        "made_with": dict(result.made_with),
        "folds": [_fold_document(fold) for fold in result.folds],
    }


def _fold_document(fold: FoldResult) -> dict[str, Any]:
    spans = ("train_start", "train_end", "test_start", "test_end")
    return {
        "number": fold.number,
        **{name: _text(getattr(fold, name)) for name in spans},
        "parameters": fold.parameters.values,
        "trials": fold.trials,
        "train_metrics": _finite(fold.train_metrics),
        "test_metrics": _finite(fold.test_metrics),
    }


def _read(folder: Path) -> WalkForwardResult:
    kept = json.loads((folder / "walk.json").read_text())
    stitched, tests, trials = (pl.read_parquet(folder / f"{name}.parquet") for name in _TABLES)
    strategy = kept["strategy"]
    return WalkForwardResult(
        strategy=strategy,
        symbol=kept["symbol"],
        interval=kept["interval"],
        folds=tuple(_fold(fold, strategy, tests) for fold in kept["folds"]),
        stitched=stitched,
        metrics=_numbers(kept["metrics"]),
        chosen=ParameterSet(strategy, kept["chosen"]),
        trials=kept["trials"],
        data_fingerprint=kept["data_fingerprint"],
        trial_table=trials,
        files={name: (folder / name).read_bytes() for name in kept["files"]},
        bars_from=_moment(kept["bars_from"]),
        chosen_from=_moment(kept["chosen_from"]),
        chosen_until=_moment(kept["chosen_until"]),
        made_with=kept.get("made_with", {}),  # older walks did not keep it
    )


def _fold(kept: Mapping[str, Any], strategy: str, tests: pl.DataFrame) -> FoldResult:
    spans = ("train_start", "train_end", "test_start", "test_end")
    return FoldResult(
        number=kept["number"],
        **{name: datetime.fromisoformat(kept[name]) for name in spans},
        parameters=ParameterSet(strategy, kept["parameters"]),
        trials=kept["trials"],
        train_metrics=_numbers(kept["train_metrics"]),
        test_metrics=_numbers(kept["test_metrics"]),
        test_equity=tests.filter(pl.col("fold") == kept["number"]).drop("fold"),
    )


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in values.items()}
