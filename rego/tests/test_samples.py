"""The sample constraints: valid by the template's schema, understood by the policy, and exempting what a cluster needs to start."""

import pytest
import yaml
from jsonschema import Draft202012Validator

from engine import ROOT, TEMPLATES, answer, document, messages, pod

SAMPLES = {file.relative_to(ROOT): name for name in TEMPLATES for file in sorted((ROOT / "manifests" / "templates" / name / "samples").glob("*.yaml"))}
SAMPLES = {**SAMPLES, (ROOT / "manifests" / "constraint" / "constraint.yaml").relative_to(ROOT): "ratifyverification"}


def test_every_template_has_a_sample():
    assert set(SAMPLES.values()) == set(TEMPLATES)


@pytest.mark.parametrize("path", SAMPLES, ids=str)
def test_sample(path):
    template = SAMPLES[path]
    sample = yaml.safe_load((ROOT / path).read_text())
    crd = document(template)["spec"]["crd"]["spec"]
    assert sample["apiVersion"] == "constraints.gatekeeper.sh/v1beta1"
    assert sample["kind"] == crd["names"]["kind"]
    assert sample["spec"]["match"]["excludedNamespaces"] == ["kube-system", "kube-public", "kube-node-lease", "gatekeeper-system"]
    parameters = sample["spec"]["parameters"]
    Draft202012Validator(crd["validation"]["openAPIV3Schema"]).validate(parameters)
    (found,) = messages(pod("nginx"), answer(), parameters, template=template)
    assert found == "Subject failed verification: nginx - the signature verification service gave no result for it"
