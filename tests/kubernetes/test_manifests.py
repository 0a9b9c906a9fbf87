"""The manifests are whole: the official client understands them, and what they name is there."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import tomllib

import pytest
import yaml

from tests.kubernetes import kubelet, manifests

ROOT = manifests.ROOT
SECRET = "thunes-secrets"
OBJECTS = manifests.objects()
PODS = manifests.pod_specs()

pytest.importorskip("kubernetes")


def named(document):
    """Return kind and name of an object."""
    return f"{document['kind']}/{document['metadata']['name']}"


def containers():
    """Return every container by its Deployment's name."""
    return {name: pod["containers"][0] for name, pod in PODS.items()}


@pytest.mark.parametrize("document", OBJECTS, ids=named)
def test_the_official_client_understands_every_field(document):
    """No field is unknown, misspelt or missing; kinds stand under their API."""
    assert document["kind"] in manifests.VERSIONS[document["apiVersion"]]
    assert manifests.read_back(document) == document


def test_a_misspelt_field_would_be_seen():
    """The check above can fail: unknown fields vanish, missing ones raise."""
    broken = copy.deepcopy(manifests.of_kind("Deployment")["thunes-code"])
    broken["spec"]["template"]["spec"]["serviceAccount_name"] = "x"
    assert manifests.read_back(broken) != broken
    del broken["spec"]["selector"]
    with pytest.raises(ValueError, match="selector"):
        manifests.read_back(broken)


def test_every_object_stands_in_the_namespace():
    """Nothing lands in another, whatever the caller's context says."""
    inside = {one["metadata"]["namespace"] for one in OBJECTS if one["kind"] != "Namespace"}
    assert inside == set(manifests.of_kind("Namespace")) == {manifests.kustomization()["namespace"]}


def test_what_pods_name_is_there():
    """Accounts, maps, claims; the one Secret is not part of the folder."""
    assert "Secret" not in {one["kind"] for one in OBJECTS}
    maps, claims = manifests.of_kind("ConfigMap"), manifests.of_kind("PersistentVolumeClaim")
    for pod in PODS.values():
        assert pod["serviceAccountName"] in manifests.of_kind("ServiceAccount")
        for volume in pod["volumes"]:
            assert volume.get("configMap", {}).get("name", SECRET) in {*maps, SECRET}
            assert volume.get("persistentVolumeClaim", {}).get("claimName", "") in {*claims, ""}
        (container,) = pod["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        named_maps = [one["configMapRef"]["name"] for one in _sources(container, "configMapRef")]
        secrets = [one["secretRef"]["name"] for one in _sources(container, "secretRef")]
        assert set(named_maps) <= set(maps)
        assert set(secrets) <= {SECRET}


def _sources(container, kind):
    return [source for source in container.get("envFrom", []) if kind in source]


def test_services_and_policies_meet_their_pods():
    """A Service that selects nobody, or a port that nobody listens on, would be silent."""
    labels = {
        name: one["spec"]["template"]["metadata"]["labels"]
        for name, one in manifests.of_kind("Deployment").items()
    }
    for name, service in manifests.of_kind("Service").items():
        selected = service["spec"]["selector"].items()
        (pod,) = [pod for pod, own in labels.items() if selected <= own.items()]
        (port,) = service["spec"]["ports"]
        (listening,) = containers()[pod]["ports"]
        assert (name, port["targetPort"]) == (pod, listening["name"])
        assert port["port"] == listening["containerPort"]
        policy = manifests.of_kind("NetworkPolicy")[name]["spec"]
        assert policy["podSelector"]["matchLabels"] == service["spec"]["selector"]
        assert policy["ingress"][0]["ports"] == [{"port": port["port"]}]
    (location,) = yaml.safe_load((manifests.FOLDER / "workspace.yaml").read_text())["load_from"]
    assert location["grpc_server"]["host"] in manifests.of_kind("Service")
    assert "thunes-webserver" not in manifests.of_kind("Service")  # reached by port-forward alone
    assert "127.0.0.1" in containers()["thunes-webserver"]["args"]


def test_one_image_without_an_entry_point_runs_everything():
    """Its tag is the project's version, and what pods and runs are told to start is its command."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {container["image"] for container in containers().values()}
    environment = {one["name"]: one.get("value") for one in containers()["thunes-code"]["env"]}
    assert images == {f"thunes:{version}"} == {environment["DAGSTER_CURRENT_IMAGE"]}
    (chosen,) = manifests.kustomization()["images"]
    assert f"{chosen['name']}:{chosen['newTag']}" in images
    recipe = (ROOT / "deploy/Dockerfile").read_text()
    assert "ENTRYPOINT" not in recipe
    copied = [
        name for line in re.findall(r"^COPY (.*) \S+$", recipe, re.M) for name in line.split()
    ]
    assert copied
    assert all((ROOT / name).exists() for name in copied)
    for container in containers().values():
        assert shutil.which(container["args"][0], path=kubelet.PATH)


def test_settings_are_those_of_the_project_and_hold_no_secret():
    """Each THUNES_ name is a setting, all of them are valid together."""
    from thunes_core.settings import Settings

    data = manifests.of_kind("ConfigMap")["thunes-settings"]["data"]
    given = {k.removeprefix("THUNES_").lower(): v for k, v in data.items() if k[:7] == "THUNES_"}
    assert set(given) <= set(Settings.model_fields)
    from_secret = {"binance_api_key": "of-the-secret", "binance_api_secret": "of-the-secret"}
    assert Settings(**given, **from_secret, _env_file=None).exchange == "binance-testnet"
    assert not [name for name in data if re.search("KEY|SECRET|PASSWORD|PG_URL|LEDGER", name)]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed here")
def test_kubectl_makes_the_same_objects():
    """Kustomize agrees with how the tests read the folder, the image of runs included."""
    command = ["kubectl", "kustomize", str(manifests.FOLDER)]
    made = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    built = {named(one): one for one in yaml.safe_load_all(made)}
    assert built == {named(one): one for one in OBJECTS}
