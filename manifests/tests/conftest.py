"""The manifests as kustomize renders them. check.sh renders them and says where in RENDERED; without it they are rendered
here, and the tests are skipped where neither kubectl nor kustomize is installed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

MANIFESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def rendered(tmp_path_factory):
    """name → list of objects, for base, constraint and the overlays."""
    if "RENDERED" in os.environ:
        directory = Path(os.environ["RENDERED"])
    else:
        directory = tmp_path_factory.mktemp("rendered")
        tool = [["kubectl", "kustomize"], ["kustomize", "build"]]
        found = next((t for t in tool if shutil.which(t[0])), None)
        if found is None:
            pytest.skip("neither kubectl nor kustomize is installed")
        shutil.copytree(MANIFESTS, directory / "manifests", ignore=shutil.ignore_patterns("tls"))
        example = directory / "manifests" / "overlays" / "example"
        subprocess.run(["bash", str(MANIFESTS / "make-certs.sh"), "--out", str(example / "tls")], check=True, capture_output=True)
        for part in ["base", "constraint", "overlays/example", "overlays/azure"]:
            output = subprocess.run([*found, str(directory / "manifests" / part)], check=True, capture_output=True).stdout
            (directory / f"{Path(part).name}.yaml").write_bytes(output)
    return {
        name: list(yaml.safe_load_all((directory / f"{name}.yaml").read_text())) for name in ["base", "constraint", "example", "azure"]
    }


@pytest.fixture(scope="session", params=["base", "example"])
def objects(request, rendered):
    return rendered[request.param]


@pytest.fixture(scope="session")
def example(rendered):
    return rendered["example"]


@pytest.fixture(scope="session")
def constraint(rendered):
    (only,) = rendered["constraint"]
    return only
