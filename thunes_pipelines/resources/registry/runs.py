"""Write a walk-forward into MLflow: a parent run, a run per fold, and the model of its choice.

Add here: something more that is written. Keep out: its content (content), aliases (versions).
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from thunes_core.clock import SystemClock, to_millis
from thunes_core.domain.results import Evidence, FoldResult, WalkForwardResult
from thunes_pipelines.resources.champions import FINGERPRINT, cut_up
from thunes_pipelines.resources.registry import content
from thunes_pipelines.resources.registry.connection import Connection, is_there_already

MODEL_TYPE = "parameters"
_METRICS_A_CALL = 1_000


@dataclass(frozen=True, slots=True)
class Walk:
    """What is written: a walk-forward, its evidence, the tags of all that is made of it.

    `files` are artefacts beside the usual ones, by path.
    """

    study: str
    result: WalkForwardResult
    evidence: Evidence
    tags: Mapping[str, str]
    files: Mapping[str, str | bytes] = field(default_factory=dict)


class RunWriter:
    """Writes one walk into one experiment; call inside `Connection.asking`."""

    def __init__(self, connection: Connection, artifact_root: str, walk: Walk) -> None:
        self._walk, self._is_server, self._root = walk, connection.is_server, artifact_root
        self._client = connection.client
        self.experiment = self._experiment()

    def log_walk(self) -> str:
        """Write the parent run with its figures, curves and files, and its folds; return its id."""
        result, evidence = self._walk.result, self._walk.evidence
        last = result.folds[-1].test_end
        name = f"{last:%Y-%m-%d} {result.chosen.fingerprint[:8]}"
        figures = content.compared_figures(result, evidence)
        params = content.compared_params(result, self._walk.tags[content.VERDICT])
        curves = [*content.daily_curve(result.stitched), *content.fold_curve(result)]
        note = content.note(result, evidence, self._walk.tags[content.WHY])
        with self._run(name, {**self._walk.tags, "mlflow.note.content": note}) as run_id:
            self._log_bars(run_id)
            self._log(run_id, params, figures, curves)
            self._log_files(run_id, {**content.artefacts(result, evidence), **self._walk.files})
            for fold in result.folds:
                self._log_fold(run_id, fold)
        return run_id

    def register(self, run_id: str) -> str:
        """Register the choice as a version of the study's model and return its number."""
        study = self._walk.study
        model_id = self._log_model(run_id)
        self._ensure_model(study)
        version = self._client.create_model_version(
            study,
            f"models:/{model_id}",
            run_id=run_id,
            tags=dict(self._walk.tags),
            model_id=model_id,
        )
        return str(version.version)

    def _log_model(self, run_id: str) -> str:
        chosen = self._walk.result.chosen
        model = self._client.create_logged_model(
            self.experiment,
            name=self._walk.study.replace(".", "_"),
            source_run_id=run_id,
            tags={"mlflow.model.isExternal": "true", FINGERPRINT: chosen.fingerprint},
            params={
                **cut_up(chosen.canonical()),
                **{k: str(v) for k, v in chosen.shown.items()},
            },
            model_type=MODEL_TYPE,
        )
        with tempfile.TemporaryDirectory() as folder:
            _write_files(
                Path(folder), {"parameters.json": chosen.canonical(), **self._walk.result.files}
            )
            self._client.log_model_artifacts(model.model_id, folder)
        self._client.finalize_logged_model(model.model_id, "READY")
        for name, value in content.finite(self._walk.evidence.figures).items():
            self._client.log_metric(run_id, name, value, model_id=model.model_id)
        return str(model.model_id)

    def _ensure_model(self, study: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(study)
        except MlflowException as error:
            if not is_there_already(error):
                raise

    def _experiment(self) -> str:
        """Return the id of the study's experiment, making it on first use."""
        from mlflow.exceptions import MlflowException

        study = self._walk.study
        found = self._client.get_experiment_by_name(study)
        if found is not None:
            return str(found.experiment_id)
        root = None if self._is_server else f"{self._root}/{study}"
        kind = {"mlflow.experimentKind": "custom_model_development"}
        try:
            return str(self._client.create_experiment(study, root, tags=kind))
        except MlflowException as error:
            if not is_there_already(error):
                raise
            return str(self._client.get_experiment_by_name(study).experiment_id)

    @contextlib.contextmanager
    def _run(self, name: str, tags: Mapping[str, str]) -> Iterator[str]:
        """Open a run; it ends FINISHED, or FAILED when the block raises."""
        origin = {"mlflow.source.name": "thunes", "mlflow.source.type": "JOB"}
        run = self._client.create_run(self.experiment, run_name=name, tags={**origin, **tags})
        status = "FAILED"
        try:
            yield str(run.info.run_id)
            status = "FINISHED"
        finally:
            self._client.set_terminated(run.info.run_id, status)

    def _log_bars(self, run_id: str) -> None:
        """Name the bars that the walk was made of, by content: equal bars, equal digest."""
        from mlflow.entities import Dataset, DatasetInput

        result = self._walk.result
        span = {"from": str(result.bars_from), "until": str(result.chosen_until)}
        bars = Dataset(
            name=f"{result.symbol} {result.interval}",
            digest=result.data_fingerprint[:36],
            source_type="thunes",
            source=json.dumps({**span, "sha256": result.data_fingerprint}),
            profile=json.dumps(span),
        )
        self._client.log_inputs(run_id, [DatasetInput(bars)])

    def _log_fold(self, parent: str, fold: FoldResult) -> None:
        figures = content.finite(fold.test_metrics) | content.finite(fold.train_metrics, "train_")
        curves = [
            *content.daily_curve(fold.test_equity),
            *content.search_curve(self._walk.result, fold.number),
        ]
        tags = {"mlflow.parentRunId": parent, "thunes.fold": str(fold.number)}
        with self._run(f"fold {fold.number}", tags) as run_id:
            self._log(run_id, fold.parameters.shown, figures, curves)

    def _log(
        self,
        run_id: str,
        params: Mapping[str, object],
        figures: Mapping[str, float],
        curves: Iterable[content.Point],
    ) -> None:
        from mlflow.entities import Metric, Param

        now = to_millis(SystemClock().now())
        metrics = [Metric(name, value, now, 0) for name, value in figures.items()]
        metrics += [Metric(p.name, p.value, p.time_ms or now, p.step) for p in curves]
        listed = [Param(name, str(value)) for name, value in params.items()]
        self._client.log_batch(run_id, params=listed)
        for first in range(0, len(metrics), _METRICS_A_CALL):
            self._client.log_batch(run_id, metrics=metrics[first : first + _METRICS_A_CALL])

    def _log_files(self, run_id: str, files: Mapping[str, str | bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            _write_files(Path(folder), files)
            self._client.log_artifacts(run_id, folder)


def _write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body.encode() if isinstance(body, str) else body)
