"""A second engine, rego-cpp, gives the same answers as the one that all other tests ask. It takes a third of a second for each,
so the questions here are few."""

import json

import pytest
from regopy import Interpreter

from engine import DEFAULT, STAND_IN, TEMPLATES, answer, input_document, messages, package, pod, report, template_rego, value
from matrix import FITTING

A = "registry.example/app:v1"
B = "registry.example/side:v2"

EXTENSIONS = {"Issuer": "CN=Example CA,O=Example,C=US", "SN": "CN=build,O=Example,C=US"}
FAILED = report(False, message="not verified", errorReason="no trusted signer", remediation="trust it", extensions=EXTENSIONS)

# One question each for what engines might differ in: sets, functions with several bodies, else, walk.
QUESTIONS = [
    (pod(A, B, A), answer((A, value(reports=[report(extensions=EXTENSIONS)])), errors=[(B, "no such image")])),
    (
        pod(A, volumes=[{"name": "m", "image": {"reference": B}}], initContainers=[{"name": "i"}, 7]),
        answer((A, value(False, reports=[FAILED, FAILED])), (B, {"isSuccess": "true"}), system_error="429 at registry.example"),
    ),
]


def inputs(template):
    good = FITTING[template]
    key = f"[team-a]{A}" if template == "multi-tenancy-validation" else A
    yield input_document({"answer": answer((key, good["value"]))}, pod(A), good["parameters"])
    # Most rules are the same in all templates: once is enough for them.
    for review, response in QUESTIONS if template == DEFAULT else QUESTIONS[:1]:
        yield input_document({"answer": response}, review, good["parameters"])
    if template != DEFAULT:
        return
    yield input_document({"answer": answer((A, value()))}, pod(A), {**good["parameters"], "exemptImages": [A, "*"], "nonsense": 1})


@pytest.mark.parametrize("template", TEMPLATES)
def test_two_engines_agree(template):
    interpreter = Interpreter()
    interpreter.add_module("policy.rego", template_rego(template))
    interpreter.add_module("stand_in.rego", STAND_IN % package(template))
    admitted = 0
    for document in inputs(template):
        interpreter.set_input(document)
        (violations,) = json.loads(str(interpreter.query(f"data.{package(template)}.violation")))["expressions"]
        expected = messages(document["review"], document["stub"]["answer"], document["parameters"], template=template)
        assert sorted(violation["msg"] for violation in violations) == expected
        admitted += expected == []
    assert admitted == 1
