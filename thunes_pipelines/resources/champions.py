"""Read the champion of a study the light way, and strictly: what is not proven is not traded.

Where MLflow is a server, two plain REST reads do; MLflow itself is not imported. Else the registry
is asked, and imported only then.

Add here: a check that a champion must pass before it is trusted. Keep out: writing, promotion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from thunes_core.domain.parameters import (
    Champion,
    ParameterSet,
    parse_parameter_set,
    split_study_key,
)
from thunes_core.errors import NoChampion, ParametersInvalid, RegistryUnavailable
from thunes_core.strategies.base import build_from, require_in_space
from thunes_pipelines.resources.signing import is_signed

if TYPE_CHECKING:
    from thunes_core.trading.ports import ParameterSource

CHAMPION = "champion"
PARAMETERS = "parameters"
FINGERPRINT = "thunes.fingerprint"
PROMOTED = "thunes.promoted"
"""Tag of a promoted version: the signature of `promotion_facts`."""
TIMEOUT_SECONDS = (2.0, 5.0)
_PIECE = 5_000
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}


@dataclass(frozen=True, slots=True)
class Published:
    """A registered version as the registry answers it, not yet trusted.

    `parameters` is the canonical JSON of the set; `fingerprint` and `promoted` (a signature) what
    the version's tags claim.
    """

    version: str
    run_id: str
    parameters: str
    fingerprint: str
    promoted: str = ""


def promotion_facts(study: str, version: str, fingerprint: str) -> dict[str, str]:
    """Return what a promotion signs: this version of this study, with these parameters."""
    return {"study": study, "version": version, "fingerprint": fingerprint}


def champion_of(study: str, published: Published, key: bytes) -> Champion:
    """Return a champion that is trusted and whose promotion was signed with `key`."""
    champion = trusted(study, published)
    facts = promotion_facts(study, published.version, published.fingerprint)
    signed = is_signed(key, facts, published.promoted)
    _require(study, published, signed, "a promotion signed with this house's key")
    return champion


def trusted(study: str, published: Published) -> Champion:
    """Return the champion, or raise `ParametersInvalid` saying what makes it unfit to trade.

    The set must be canonical JSON of the study's own strategy, name exactly the strategy's
    parameters, lie inside their bounds, be accepted by the strategy, and have the fingerprint that
    its version was tagged with.
    """
    strategy, _, _ = split_study_key(study)
    parameters = parse_parameter_set(published.parameters)
    _require(study, published, parameters.strategy == strategy, f"strategy {strategy!r}")
    _require(
        study,
        published,
        parameters.fingerprint == published.fingerprint,
        f"fingerprint {published.fingerprint[:12]!r} as tagged, not {parameters.fingerprint[:12]}",
    )
    return Champion(study, _within_bounds(parameters), published.version, published.run_id)


def _within_bounds(parameters: ParameterSet) -> ParameterSet:
    require_in_space(parameters)
    build_from(parameters)
    return parameters


def _require(study: str, published: Published, holds: bool, expected: str) -> None:
    if not holds:
        raise ParametersInvalid(
            f"champion of {study}: expected {expected} in version {published.version}; it is not "
            "so; roll back, or promote a version that the research registered"
        )


def no_champion(study: str) -> NoChampion:
    """Return the error that says that nothing was promoted yet."""
    return NoChampion(
        f"{study}: expected a version with the alias `{CHAMPION}`; there is none; run the job "
        "`reoptimise`, or promote one with `thunes registry promote`"
    )


def cut_up(text: str) -> dict[str, str]:
    """Cut canonical JSON into parameters short enough for MLflow, which would truncate a long one.

    >>> list(cut_up("x" * 12_000))
    ['parameters', 'parameters.1', 'parameters.2']
    """
    starts = range(0, max(len(text), 1), _PIECE)
    return {
        PARAMETERS if not n else f"{PARAMETERS}.{n}": text[start : start + _PIECE]
        for n, start in enumerate(starts)
    }


def joined(params: Mapping[str, str]) -> str:
    """Return the text that was cut up; empty when its begin is missing."""
    text, number = params.get(PARAMETERS, ""), 1
    while (piece := params.get(f"{PARAMETERS}.{number}")) is not None:
        text, number = text + piece, number + 1
    return text


def without_password(url: str) -> str:
    """Return an address fit for messages and links.

    >>> without_password("http://bob:secret@host:5000")
    'http://host:5000'
    """
    return re.sub(r"//[^/]*@", "//", url)


def champion_source(tracking_uri: str, artifact_root: str, key: bytes) -> ParameterSource:
    """Return where champions are read from, given the address of MLflow and the signing key."""
    if tracking_uri.startswith(("http://", "https://")):
        return RestChampions(tracking_uri, key)
    return EmbeddedChampions(tracking_uri, artifact_root, key)


class EmbeddedChampions:
    """Champions of a registry without a server; opens it on the first question."""

    def __init__(self, tracking_uri: str, artifact_root: str, key: bytes) -> None:
        self._registry = (tracking_uri, artifact_root, key)

    def champion(self, study: str) -> Champion:
        """Return the champion of `study`."""
        from thunes_pipelines.resources.registry import Registry

        return Registry(*self._registry).champion(study)


class RestChampions:
    """Champions of an MLflow server, by two GETs; no MLflow import."""

    def __init__(self, tracking_uri: str, key: bytes) -> None:
        self._url = tracking_uri.rstrip("/") + "/api/2.0/mlflow"
        self._shown, self._key = without_password(self._url), key

    def champion(self, study: str) -> Champion:
        """Return the champion of `study`; errors as `ParameterSource` promises."""
        try:
            published = self._published(study)
        except (LookupError, TypeError, AttributeError) as error:
            raise RegistryUnavailable(
                f"registry: expected MLflow's own answers at {self._shown}; what came cannot be "
                f"read ({type(error).__name__}: {error}); correct THUNES_MLFLOW_TRACKING_URI, or "
                "see the server's log"
            ) from error
        return champion_of(study, published, self._key)

    def _published(self, study: str) -> Published:
        query = {"name": study, "alias": CHAMPION}
        version = self._get(study, "registered-models/alias", query)["model_version"]
        model_id = str(version["source"]).removeprefix("models:/")
        model = self._get(study, f"logged-models/{model_id}", {})["model"]
        params = {p["key"]: p["value"] for p in model["data"].get("params", [])}
        tags = {t["key"]: t["value"] for t in version.get("tags", [])}
        return Published(
            str(version["version"]),
            str(version.get("run_id", "")),
            joined(params),
            tags.get(FINGERPRINT, ""),
            tags.get(PROMOTED, ""),
        )

    def _get(self, study: str, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        try:
            answer = requests.get(f"{self._url}/{path}", params=query, timeout=TIMEOUT_SECONDS)
            body: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise RegistryUnavailable(
                f"registry: expected MLflow to answer at {self._shown}; {type(error).__name__}; "
                "start it (`thunes up`) or correct THUNES_MLFLOW_TRACKING_URI"
            ) from error
        if answer.status_code < 500 and body.get("error_code") in _ABSENT:
            raise no_champion(study)
        if not answer.ok:
            raise RegistryUnavailable(
                f"registry: MLflow answered {answer.status_code} at {self._shown}/{path}: "
                f"{str(body.get('message', ''))[:200]}; see the server's log"
            )
        return body
