"""Versions and their aliases: register, promote, roll back, list.

One registered model per study; a version holds a parameter set (canonical JSON, no code) with its
evidence. Aliases: `candidate` (the newest), `champion` (in force), `previous` (before it).

Add here: what is asked of versions. Keep out: runs and files (runs), trust (champions).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thunes_core.domain.parameters import Champion, parse_parameter_set, study_key
from thunes_core.domain.results import Evidence, WalkForwardResult
from thunes_core.errors import NoChampion, PromotionRefused
from thunes_core.research.promotion import Outcome, PromotionPolicy, Ruling, rule
from thunes_pipelines.resources.champions import (
    CHAMPION,
    FINGERPRINT,
    PROMOTED,
    Published,
    champion_of,
    joined,
    no_champion,
    promotion_facts,
    trusted,
)
from thunes_pipelines.resources.registry import content
from thunes_pipelines.resources.registry.connection import Connection, is_absent
from thunes_pipelines.resources.registry.runs import RunWriter, Walk
from thunes_pipelines.resources.signing import is_signed, signature

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CANDIDATE, PREVIOUS = "candidate", "previous"
SIGNATURE, ALTHOUGH = "thunes.signature", "thunes.although"
_MOST_VERSIONS = 1_000


@dataclass(frozen=True, slots=True)
class Registered:
    """A candidate as it stands in the registry, and the address of its run in MLflow's UI."""

    study: str
    version: str
    run_id: str
    url: str
    ruling: Ruling


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version as it was ruled on when it was registered."""

    study: str
    version: str
    verdict: Outcome
    policy: PromotionPolicy
    why: str


class Registry:
    """Parameter sets with their evidence, in MLflow at `tracking_uri` (absolute).

    `artifact_root` is used where MLflow is embedded; a server keeps artefacts where it likes. What
    is registered and what is promoted is signed with `key`.
    Every method raises `RegistryUnavailable` when MLflow cannot be reached.
    """

    def __init__(self, tracking_uri: str, artifact_root: str, key: bytes) -> None:
        self._mlflow, self._artifact_root = Connection(tracking_uri), artifact_root
        self._key = key

    @property
    def _client(self) -> MlflowClient:
        return self._mlflow.client

    def log_candidate(
        self,
        result: WalkForwardResult,
        evidence: Evidence,
        *,
        context: Mapping[str, str],
        ruling: Ruling | None = None,
        files: Mapping[str, str | bytes] | None = None,
    ) -> Registered:
        """Write a walk-forward with its evidence and register its choice as `candidate`.

        `context` (code version, Dagster run, ...) becomes tags. `ruling` is what the promotion rule
        said; by default the strict rule with no champion. `files`: more artefacts, by path.
        """
        study = study_key(result.strategy, result.symbol, result.interval)
        ruled = ruling or rule(result.chosen, evidence, None)
        tags = content.version_tags(result, evidence, ruled, context)
        tags[SIGNATURE] = signature(self._key, _signed_part(tags))
        with self._mlflow.asking():
            writer = RunWriter(
                self._mlflow, self._artifact_root, Walk(study, result, evidence, tags, files or {})
            )
            run_id = writer.log_walk()
            version = writer.register(run_id)
            self._client.set_registered_model_alias(study, CANDIDATE, version)
        url = self._mlflow.run_url(writer.experiment, run_id)
        return Registered(study, version, run_id, url, ruled)

    def champion(self, study: str) -> Champion:
        """Return the trusted champion of `study`; `NoChampion` when there is none."""
        with self._mlflow.asking():
            return self._by_alias(study, CHAMPION)

    def champion_or_none(self, study: str) -> Champion | None:
        """Return the trusted champion of `study`, or None."""
        try:
            return self.champion(study)
        except NoChampion:
            return None

    def promote(
        self, study: str, version: str | None = None, *, although: str | None = None
    ) -> Champion:
        """Give the alias `champion` to a version (the candidate), `previous` to the one before.

        Raises `PromotionRefused` for a version whose evidence did not carry it, unless a person
        says `although` what; the reason is then kept on the version.
        """
        with self._mlflow.asking():
            chosen = self._version(study, version)
            number = str(chosen.version)
            if not although:
                self._require_promotable(study, chosen)
            self._require_registered_here(study, chosen)
            champion = trusted(study, self._published(chosen))
            if although:
                self._client.set_model_version_tag(study, number, ALTHOUGH, although)
            self._sign_promotion(champion)
            self._replace_champion(study, number)
            return champion

    def candidate(self, study: str, version: str | None = None) -> Candidate:
        """Return the newest candidate, or another version, as it was ruled on.

        Raises `NoChampion` where there is none. A version whose facts are not as this house signed
        them counts as refused.
        """
        with self._mlflow.asking():
            chosen = self._version(study, version)
        tags = chosen.tags
        signed = is_signed(self._key, _signed_part(tags), tags.get(SIGNATURE, ""))
        return Candidate(
            study=study,
            version=str(chosen.version),
            verdict=Outcome(tags[content.VERDICT]) if signed else Outcome.REFUSE,
            policy=PromotionPolicy(tags[content.POLICY]) if signed else PromotionPolicy.STRICT,
            why=tags[content.WHY] if signed else "its facts are not as they were signed",
        )

    def trusted_version(self, study: str, version: str) -> Champion:
        """Return the parameter set of a version that this house registered, checked strictly."""
        with self._mlflow.asking():
            chosen = self._version(study, version)
            self._require_registered_here(study, chosen)
            return trusted(study, self._published(chosen))

    def rollback(self, study: str) -> Champion:
        """Give `champion` back to the version that had it before; the two change places."""
        with self._mlflow.asking():
            before = self._aliases(study).get(PREVIOUS)
            if before is None:
                raise NoChampion(
                    f"{study}: expected a version with the alias `{PREVIOUS}`; there is none; "
                    "promote a version with `thunes registry promote --version N`"
                )
            champion = champion_of(study, self._published(self._version(study, before)), self._key)
            self._replace_champion(study, before)
            return champion

    def versions(self) -> list[dict[str, Any]]:
        """Return every version, newest first within its study, in the shape of `registry list`."""
        with self._mlflow.asking():
            models = self._client.search_registered_models(max_results=_MOST_VERSIONS)
            return [
                self._shown(version, self._aliases(model.name))
                for model in sorted(models, key=lambda m: str(m.name))
                for version in self._versions_of(model.name)
            ]

    def version(self, study: str, name: str) -> dict[str, Any]:
        """Return one version by number or alias, as in `versions`, with `parameters` and `url`."""
        with self._mlflow.asking():
            aliases = self._aliases(study)
            version = self._version(study, aliases.get(name, name))
            experiment = self._client.get_run(version.run_id).info.experiment_id
            return {
                **self._shown(version, aliases),
                "parameters": self._values(version),
                "origin": {name: version.tags.get(f"thunes.{name}") for name in content.ORIGIN},
                "url": self._mlflow.run_url(experiment, version.run_id),
            }

    def url_of(self, run_id: str) -> str:
        """Return the address of a run in MLflow's UI."""
        with self._mlflow.asking():
            experiment = self._client.get_run(run_id).info.experiment_id
        return self._mlflow.run_url(experiment, run_id)

    # --- reading -----------------------------------------------------------------------------

    def _by_alias(self, study: str, alias: str) -> Champion:
        version = self._aliases(study).get(alias)
        if version is None:
            raise no_champion(study)
        return champion_of(study, self._published(self._version(study, version)), self._key)

    def _aliases(self, study: str) -> dict[str, str]:
        """Return version by alias; empty for a study that has no registered model yet."""
        from mlflow.exceptions import MlflowException

        try:
            model = self._client.get_registered_model(study)
        except MlflowException as error:
            if is_absent(error):
                return {}
            raise
        return {alias: str(version) for alias, version in model.aliases.items()}

    def _version(self, study: str, version: str | None) -> ModelVersion:
        """Return a version, by default the candidate; `NoChampion` when there is none such."""
        from mlflow.exceptions import MlflowException

        wanted = version or self._aliases(study).get(CANDIDATE)
        try:
            if wanted is not None:
                return self._client.get_model_version(study, wanted)
        except MlflowException as error:
            if not is_absent(error):
                raise
        raise NoChampion(
            f"{study}: expected version {wanted or 'with the alias candidate'}; the registry has "
            "none such; see `thunes registry list`"
        )

    def _published(self, version: ModelVersion) -> Published:
        model = self._client.get_logged_model(str(version.source).removeprefix("models:/"))
        return Published(
            str(version.version),
            str(version.run_id),
            joined(model.params),
            version.tags.get(FINGERPRINT, ""),
            version.tags.get(PROMOTED, ""),
        )

    def _values(self, version: ModelVersion) -> dict[str, Any]:
        """Return a version's parameters as people read them; `ParametersInvalid` if unreadable."""
        return parse_parameter_set(self._published(version).parameters).shown

    def _versions_of(self, study: str) -> list[ModelVersion]:
        found = self._client.search_model_versions(f"name = '{study}'", max_results=_MOST_VERSIONS)
        return sorted(found, key=lambda v: int(v.version), reverse=True)

    def _shown(self, version: ModelVersion, aliases: Mapping[str, str]) -> dict[str, Any]:
        tags = version.tags
        number = str(version.version)
        evidence = json.loads(tags.get(content.EVIDENCE, "{}"))
        return {
            "study": version.name,
            "strategy": tags.get("thunes.strategy"),
            "symbol": tags.get("thunes.symbol"),
            "interval": tags.get("thunes.interval"),
            "version": number,
            "aliases": sorted(alias for alias, of in aliases.items() if of == number),
            "fingerprint": tags.get(FINGERPRINT),
            "verdict": tags.get(content.VERDICT),
            "policy": tags.get(content.POLICY),
            "why": tags.get(content.WHY),
            "run_id": version.run_id,
            "tags": dict(tags),
            "evidence": evidence.get("figures", {}),
            "findings": evidence.get("findings", []),
            "promise": evidence.get("promise", {}),
        }

    def _require_registered_here(self, study: str, chosen: ModelVersion) -> None:
        """Refuse a version whose facts are not as this house signed them."""
        given = chosen.tags.get(SIGNATURE, "")
        if not is_signed(self._key, _signed_part(chosen.tags), given):
            raise PromotionRefused(
                f"{study}: expected facts of version {chosen.version} as they were signed when it "
                "was registered; they are not; register a new candidate with the job `reoptimise`"
            )

    def _sign_promotion(self, champion: Champion) -> None:
        facts = promotion_facts(champion.study, champion.version, champion.parameters.fingerprint)
        sealed = signature(self._key, facts)
        self._client.set_model_version_tag(champion.study, champion.version, PROMOTED, sealed)

    def _require_promotable(self, study: str, chosen: ModelVersion) -> None:
        """Refuse a version that was ruled out, or a first champion where there is one by now."""
        tags, number = chosen.tags, str(chosen.version)
        why = tags.get(content.WHY, "it has none")
        in_force = self._aliases(study).get(CHAMPION)
        if tags.get(content.POLICY) == PromotionPolicy.BOOTSTRAP and in_force not in {None, number}:
            why = f"it may only be the first champion, and version {in_force} is in force"
        elif tags.get(content.VERDICT) == Outcome.PROMOTE:
            return
        raise PromotionRefused(
            f"{study}: expected evidence that carries version {number}; {why}; let the research "
            "find a better one, or give a reason to promote it all the same"
        )

    def _replace_champion(self, study: str, version: str) -> None:
        """Move the aliases; `previous` first, so that a crash between leaves a champion."""
        now = self._aliases(study).get(CHAMPION)
        if now is not None and now != version:
            self._client.set_registered_model_alias(study, PREVIOUS, now)
        self._client.set_registered_model_alias(study, CHAMPION, version)


def _signed_part(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that registration signs: ours, without those that come later."""
    later = {SIGNATURE, PROMOTED, ALTHOUGH}
    return {k: v for k, v in tags.items() if k.startswith("thunes.") and k not in later}
