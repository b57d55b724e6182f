"""The templates on a real Rego engine, asked the way Gatekeeper asks them.

Gatekeeper gives templates a built-in function `external_data`. Here a second module of the same package stands in for it
and hands out what a test wants the provider to have answered. The Rego under test is taken out of the generated
ConstraintTemplates: what is tested is what a cluster gets.

The engine is Microsoft's Regorus, which takes the templates as they are written; test_engines.py asks Gatekeeper's own, Open
Policy Agent, for the same answers, and test_time.py what they cost there (opa.py).
"""

import functools
import json
import re
from pathlib import Path

import yaml
import regorus

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = "ratifyverification"
# What every denial begins with, as those of Ratify's templates: runbooks and alerts look for it.
BEGINNING = "Subject failed verification: "
# Directory of each template in rego/ → its template.json.
TEMPLATES = {file.parent.name: json.loads(file.read_text()) for file in sorted((ROOT / "rego").glob("*/template.json"))}

# `answer` present: that is what comes back. `echo`: the question comes back in the system error. Neither: the call has no
# value, as in Gatekeeper when there is no Provider object of that name.
STAND_IN = """package %s

external_data(question) = answer {
	answer := input.stub.answer
} else = answer {
	input.stub.echo
	asked := concat(" | ", array.concat(["ASKED", question.provider], question.keys))
	answer := {"responses": [], "errors": [], "status_code": 200, "system_error": asked}
}
"""


@functools.lru_cache(maxsize=None)
def document(template=DEFAULT):
    """The generated ConstraintTemplate."""
    return yaml.safe_load((ROOT / TEMPLATES[template]["output"]).read_text())


def template_rego(template=DEFAULT) -> str:
    """The Rego inside the generated ConstraintTemplate."""
    return document(template)["spec"]["targets"][0]["rego"]


def package(template=DEFAULT) -> str:
    return re.search(r"^package ([a-z]+)$", template_rego(template), re.MULTILINE)[1]


@functools.lru_cache(maxsize=None)
def _engine(template):
    engine = regorus.Engine()
    engine.set_rego_v0(True)
    engine.add_policy("policy.rego", template_rego(template))
    engine.add_policy("stand_in.rego", STAND_IN % package(template))
    return engine


def input_document(stub, review, parameters):
    found = {"stub": stub}
    if review is not None:
        found["review"] = review
    if parameters is not None:
        found["parameters"] = parameters
    return found


def _query(stub, review, parameters, template):
    engine = _engine(template)
    engine.set_input_json(json.dumps(input_document(stub, review, parameters)))
    violations = json.loads(engine.eval_rule_as_json(f"data.{package(template)}.violation"))
    assert isinstance(violations, list), f"violation is not a set: {violations}"
    found = sorted(violation["msg"] for violation in violations)
    assert all(message.startswith(BEGINNING) for message in found), found
    return found


def messages(review, answer=None, parameters=None, answered=True, template=DEFAULT):
    """The messages of all violations; an empty list means admitted. answered=False: `external_data` has no value."""
    return _query({"answer": answer} if answered else {}, review, parameters, template)


def question(review, parameters=None, template=DEFAULT):
    """What the policy asks `external_data`, or None when it does not ask."""
    found = [m for m in _query({"echo": True}, review, parameters, template) if "ASKED | " in m]
    if not found:
        return None
    asked = found[0].split("ASKED | ", 1)[1].split(". Try again", 1)[0]
    provider, *keys = asked.split(" | ")
    return {"provider": provider, "keys": keys}


# ---- building blocks


def pod(*images, namespace="team-a", operation="CREATE", **spec):
    """The review of a Pod with one container per image; further members of its spec by keyword."""
    containers = [{"name": f"c{i}", "image": image} for i, image in enumerate(images)]
    return review_of("Pod", {"containers": containers, **spec}, namespace=namespace, operation=operation)


def review_of(kind, spec, namespace="team-a", operation="CREATE", **members):
    review = {
        "kind": {"group": "", "version": "v1", "kind": kind},
        "operation": operation,
        "object": {"kind": kind, "metadata": {"name": "web", "namespace": namespace}, "spec": spec, **members},
    }
    if namespace is not None:
        review["namespace"] = namespace
    else:
        del review["object"]["metadata"]["namespace"]
    return review


def report(success=True, digest="sha256:" + "a" * 64, type="notation", **members):
    return {
        "subject": "registry.example/app@sha256:" + "0" * 64,
        "isSuccess": success,
        "verifierName": "notation",
        "verifierType": type,
        "name": "notation",
        "type": type,
        "referenceDigest": digest,
        "artifactType": "application/vnd.cncf.notary.signature",
        "message": "signature verified" if success else "signature not verified",
        **members,
    }


def value(success=True, reports=None, **members):
    return {
        "version": "0.2.0",
        "isSuccess": success,
        "traceID": "7574b5d7",
        "timestamp": "2026-11-21T01:29:08.213607207Z",
        "verifierReports": [report(success)] if reports is None else reports,
        **members,
    }


def answer(*pairs, errors=(), system_error="", **members):
    """An answer as Gatekeeper hands it to Rego."""
    return {
        "responses": [list(pair) for pair in pairs],
        "errors": [list(pair) for pair in errors],
        "status_code": 200,
        "system_error": system_error,
        **members,
    }


def passed(*images):
    return answer(*[(image, value()) for image in images])
