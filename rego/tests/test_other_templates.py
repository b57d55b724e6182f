"""What the smaller templates require beyond isSuccess: verifier-validation, the two of Notation signatures, multi-tenancy."""

import pytest

from engine import answer, messages, pod, question, report, value

A = "registry.example/app:v1"
SBOM = "application/spdx+json"


def ask(template, parameters, *reports):
    return messages(pod(A), answer((A, value(reports=list(reports)))), parameters, template=template)


def sbom(*nested, success=True, **members):
    return report(success, digest="sha256:5", type="sbom", **{"artifactType": SBOM, "verifierName": "sbom", "nestedResults": list(nested), **members})


def signature(success=True, digest="sha256:1", name="notation", **members):
    return report(success, digest=digest, verifierName=name, **members)


VERIFIERS = {
    # name: (verifiers, reports, texts of the denial; none: admitted)
    "by type": ([{"type": "notation"}], [signature()], None),
    "by name": ([{"name": "notation"}], [signature()], None),
    "by older names": ([{"name": "n", "type": "t"}], [{"isSuccess": True, "name": "n", "type": "t"}], None),
    "by artifact type": ([{"artifactType": SBOM}], [signature(), sbom()], None),
    "by all three": ([{"name": "sbom", "type": "sbom", "artifactType": SBOM}], [sbom()], None),
    "two verifiers": ([{"name": "build"}, {"name": "release"}], [signature(name="build"), signature(name="release")], None),
    "a good one beside a failed one": ([{"type": "notation"}], [signature(False), signature()], None),
    "two signatures": ([{"type": "notation", "minimum": 2}], [signature(), signature(digest="sha256:2")], None),
    "attached, with its signature": ([{"type": "sbom", "nested": [{"type": "notation"}]}], [sbom(signature())], None),
    "attached, one of two with its signature": ([{"type": "sbom", "nested": [{"type": "notation"}]}], [sbom(), sbom(signature())], None),
    "attached, with two signatures": (
        [{"type": "sbom", "nested": [{"type": "notation", "minimum": 2}]}],
        [sbom(signature(), signature(digest="sha256:2"))],
        None,
    ),
    "none": ([{"type": "notation"}], [], ["requires a verifier of type notation to pass it, and none did. Attach a signature that this verifier checks"]),
    "failed": ([{"type": "notation"}], [signature(False, message="it has expired"), sbom()], ["none did. notation: it has expired"]),
    "isSuccess a string": ([{"type": "notation"}], [signature("true")], ["none did"]),
    "another name": ([{"name": "build"}], [signature(name="release")], ["a verifier named build"]),
    "one of two": ([{"name": "build"}, {"name": "release"}], [signature(name="build")], ["a verifier named release"]),
    "criteria of two reports": ([{"name": "sbom", "artifactType": "application/vnd.cncf.notary.signature"}], [signature(), sbom()], ["named sbom of artifacts application/vnd.cncf.notary.signature"]),
    "only nested": ([{"type": "notation"}], [sbom(signature())], ["of type notation"]),
    "report without names": ([{"name": "notation"}], [{"isSuccess": True}], ["none did"]),
    "names that are no texts": ([{"name": "notation"}], [{"isSuccess": True, "verifierName": ["notation"], "name": True}], ["none did"]),
    "one signature twice": ([{"type": "notation", "minimum": 2}], [signature(), signature()], ["for 2 different signatures: it has 1"]),
    "without a digest": ([{"type": "notation", "minimum": 1}], [signature(digest=None)], ["for 1 different signatures: it has 0"]),
    "attached without a signature": ([{"type": "sbom", "nested": [{"type": "notation"}]}], [sbom(), signature()], ["with a verifier of type notation for what is attached", "did not pass"]),
    "attached, nested results null": ([{"type": "sbom", "nested": [{"type": "notation"}]}], [sbom(nestedResults=None)], ["did not pass"]),
    "attached, nested results an object": ([{"type": "sbom", "nested": [{"type": "notation"}]}], [sbom(nestedResults={"0": signature()})], ["did not pass"]),
    "attached, its signature failed": ([{"type": "sbom", "nested": [{"type": "notation"}]}], [sbom(signature(False))], ["did not pass"]),
    "attached to what failed": ([{"type": "sbom", "nested": [{"type": "notation"}]}], [sbom(signature(), success=False)], ["none did"]),
    "halves in two reports": (
        [{"type": "sbom", "nested": [{"name": "build"}, {"name": "release"}]}],
        [sbom(signature(name="build")), sbom(signature(name="release"))],
        ["did not pass"],
    ),
    # parameters
    "no list": (None, [signature()], ["verifiers must list the verifiers"]),
    "empty list": ([], [signature()], ["verifiers must list the verifiers"]),
    "a string": ("notation", [signature()], ["verifiers must list the verifiers"]),
    "an entry is a string": (["notation"], [signature()], ["verifiers[0] must be an object"]),
    "an entry says nothing": ([{"minimum": 1}], [signature()], ["verifiers[0] must say which verifier it is about"]),
    "an entry says null": ([{"type": None}], [signature()], ["verifiers[0] must say which verifier"]),
    "an empty name": ([{"type": "notation", "name": ""}], [signature()], ["verifiers[0] has a member name that is not a text"]),
    "a misspelt member": ([{"type": "notation", "artefactType": "x"}], [signature()], ["has a member artefactType, which is not known"]),
    "minimum zero": ([{"type": "notation", "minimum": 0}], [signature()], ["verifiers[0] has a minimum"]),
    "minimum a string": ([{"type": "notation", "minimum": "2"}], [signature()], ["verifiers[0] has a minimum"]),
    "nested empty": ([{"type": "sbom", "nested": []}], [sbom(signature())], ["verifiers[0] has a member nested"]),
    "nested an object": ([{"type": "sbom", "nested": {"type": "notation"}}], [sbom(signature())], ["verifiers[0] has a member nested"]),
    "nested within nested": ([{"type": "sbom", "nested": [{"type": "notation", "nested": []}]}], [sbom(signature())], ["verifiers[0] nested[0] has a member nested"]),
    "nested says nothing": ([{"type": "sbom", "nested": [{}]}], [sbom(signature())], ["verifiers[0] nested[0] must say"]),
}


@pytest.mark.parametrize("name", VERIFIERS)
def test_verifier_validation(name):
    verifiers, reports, texts = VERIFIERS[name]
    found = ask("verifier-validation", {} if verifiers is None else {"verifiers": verifiers}, *reports)
    if texts is None:
        assert found == []
    else:
        assert found, "admitted"
        assert all(any(text in message for message in found) for text in texts), found


def test_notation_validation():
    assert ask("notation-validation", {}, signature(), sbom()) == []
    for reports in [[], [sbom()], [signature(False)], [sbom(signature())], [signature("true")], [{"isSuccess": True, "verifierName": "notation"}]]:
        (found,) = ask("notation-validation", {}, *reports)
        assert "the policy requires a valid Notary Project signature, and there is none" in found


NESTED = {
    "a signature": ([signature()], None),
    "a signature beside a failed one": ([signature(False), signature()], None),
    "a signed artifact": ([signature(), sbom(signature())], None),
    "a signed artifact with a bad signature besides": ([signature(), sbom(signature(False), signature())], None),
    "a signed artifact of a signed artifact": ([signature(), sbom(signature(), sbom(signature()))], None),
    "a signature with no nested results": ([signature(nestedResults=[])], None),
    "nothing": ([], "signature of the image"),
    "only a failed signature": ([signature(False)], "signature of the image"),
    "only the artifact is signed": ([sbom(signature())], "signature of the image"),
    "an unsigned artifact": ([signature(), sbom()], f"there is none of sha256:5 ({SBOM})"),
    "an artifact without nested results": ([signature(), sbom(nestedResults=None)], SBOM),
    "an artifact whose signature failed": ([signature(), sbom(signature(False))], SBOM),
    "an unsigned artifact of a signed one": ([signature(), sbom(signature(), sbom(artifactType="application/x"))], "application/x"),
    "an unsigned artifact of a signature": ([signature(nestedResults=[sbom()])], SBOM),
    "nested results an object": ([signature(), sbom(nestedResults={"0": signature()})], SBOM),
    "nested results of a signature a string": ([signature(nestedResults="none")], "attached to the image"),
    "something else in nested results": ([signature(), sbom(signature(), None)], "attached to the image"),
    "a report without artifact type": ([signature(), {"isSuccess": True, "nestedResults": [signature()]}], "attached to the image"),
}


@pytest.mark.parametrize("name", NESTED)
def test_notation_nested_validation(name):
    reports, text = NESTED[name]
    found = ask("notation-nested-validation", {}, *reports)
    if text is None:
        assert found == []
    else:
        assert len(found) == 1 and text in found[0], found


# ---- multi-tenancy


def test_tenants_are_always_asked_for():
    for parameters in [None, {}, {"namespacedKeys": True}, {"namespacedKeys": None}]:
        assert question(pod(A), parameters, template="multi-tenancy-validation")["keys"] == [f"[team-a]{A}"]


@pytest.mark.parametrize("setting", [False, "false", 0, []])
def test_tenants_cannot_be_turned_off(setting):
    found = messages(pod(A), answer((A, value())), {"namespacedKeys": setting}, template="multi-tenancy-validation")
    assert len(found) == 1 and "namespacedKeys cannot be turned off" in found[0]


def test_another_tenants_answer_does_not_admit():
    for key in [A, f"[team-b]{A}", f"[]{A}"]:
        (found,) = messages(pod(A), answer((key, value())), template="multi-tenancy-validation")
        assert f"Subject failed verification: {A} - " in found


def test_an_object_without_a_namespace_is_refused():
    found = messages(pod(A, namespace=None), answer((A, value())), template="multi-tenancy-validation")
    assert any("has no namespace" in message for message in found)
