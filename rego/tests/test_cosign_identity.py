"""cosign-identity-validation: who may have signed with cosign, on both engines."""

import copy
import re

import pytest

from engine import ROOT, answer, pod, report, review_of, template_rego, value
from matrix import ACTIONS, B, BUILD, WORKFLOW, cosign, keyless
from test_engines import agree

A = "registry.example/app:v1"
TEMPLATE = "cosign-identity-validation"
GOOGLE = "https://accounts.google.com"
MANAGER = "release@example.com"


def signed(identity=WORKFLOW, issuer=ACTIONS, success=True, verified=True, extensions=BUILD, **members):
    return cosign(success, **{"extensions": keyless(identity, issuer, verified, **extensions), **members})


def by_key(success=True):
    """What is verified by a key has no certificate."""
    verification = {"isSuccess": success, "bundleVerified": False, "error": None, "keyInformation": {"provider": "release", "name": "", "version": ""}, "summary": []}
    return cosign(success, extensions={"signatures": [{"signature": "sha256:" + "d" * 64, "verifications": [verification]}], "trustPolicy": "keys"})


def several(*parts):
    """One report with the signatures of several."""
    whole = copy.deepcopy(parts[0])
    whole["extensions"]["signatures"] = [signature for part in parts for signature in part["extensions"]["signatures"]]
    return whole


def with_certificate(change):
    """A good report whose certificate, or what leads to it, is changed."""
    whole = copy.deepcopy(signed())
    change(whole, whole["extensions"]["signatures"][0]["verifications"][0])
    return whole


def exactly(identity=WORKFLOW, issuer=ACTIONS, **more):
    return {"certificateIdentity": identity, "certificateOIDCIssuer": issuer, **more}


def matching(identity, issuer=ACTIONS, **more):
    return {"certificateIdentityRegExp": identity, "certificateOIDCIssuer": issuer, **more}


def ask(identities, *reports, success=True, **parameters):
    return agree(TEMPLATE, pod(A), answer((A, value(success, reports=list(reports)))), {"identities": identities, **parameters})


ADMITTED = {
    "an identity": ([exactly()], [signed()]),
    "one of the identities": ([exactly(MANAGER, GOOGLE), exactly()], [signed()]),
    "an expression": ([matching(r"https://github\.com/example/.*")], [signed()]),
    "an expression for the issuer": ([{"certificateIdentity": WORKFLOW, "certificateOIDCIssuerRegExp": r"https://token\.actions\..*"}], [signed()]),
    "an expression with alternatives": ([matching(f"{MANAGER}|https://github.com/example/app/.*")], [signed()]),
    "an allowed signer beside another": ([exactly()], [signed(MANAGER, GOOGLE), signed()]),
    "an allowed signer beside a failed one": ([exactly()], [signed(success=False), signed()]),
    "the second signature of one report": ([exactly()], [several(signed(MANAGER, GOOGLE), signed())]),
    "the second verification of one signature": (
        [exactly()],
        [with_certificate(lambda whole, good: whole["extensions"]["signatures"][0]["verifications"].insert(0, {"isSuccess": False, "error": "not this one"}))],
    ),
    "beside a key": ([exactly()], [by_key(), signed()]),
    "beside a notation signature": ([exactly()], [report(), signed()]),
    "an extension": ([exactly(extensions={"sourceRepositoryURI": "https://github.com/example/app", "buildTrigger": "push"})], [signed()]),
    "an expression for an extension": ([exactly(extensions={"sourceRepositoryRefRegExp": "refs/(heads/main|tags/v.*)", "buildTrigger": "push"})], [signed()]),
    "older member names": ([exactly()], [{"isSuccess": True, "type": "cosign", "extensions": keyless(WORKFLOW, ACTIONS)}]),
    "other members null": ([exactly(certificateIdentityRegExp=None, extensions=None)], [signed()]),
}


@pytest.mark.parametrize("name", ADMITTED)
def test_admitted(name):
    identities, reports = ADMITTED[name]
    assert ask(identities, *reports) == []


def test_all_identities():
    both = [exactly(), exactly(MANAGER, GOOGLE)]
    assert ask(both, signed(), signed(MANAGER, GOOGLE), requireAllIdentities=True) == []
    assert ask(both, several(signed(), signed(MANAGER, GOOGLE)), requireAllIdentities=True) == []
    (found,) = ask(both, signed(), signed(), requireAllIdentities=True)
    assert "a valid cosign signature of each of its identities, and there is none of" in found and MANAGER in found
    (found,) = ask(both, signed(), signed(MANAGER, GOOGLE, success=False), requireAllIdentities=True)
    assert MANAGER in found
    assert ask(both, signed(), signed(MANAGER, GOOGLE, verified=False), requireAllIdentities=True)


NOT_ALLOWED = "the policy allows other identities than those of its valid cosign signatures"
NONE = "it has none that was verified by a certificate"
DENIED = {
    "another identity": ([exactly(MANAGER)], [signed()], [NOT_ALLOWED, f"{WORKFLOW}, by {ACTIONS}"]),
    "another issuer": ([exactly(issuer=GOOGLE)], [signed()], [NOT_ALLOWED]),
    "identity of one signature, issuer of another": ([exactly(WORKFLOW, GOOGLE)], [signed(), signed(MANAGER, GOOGLE)], [NOT_ALLOWED, MANAGER]),
    "the same within one report": ([exactly(WORKFLOW, GOOGLE)], [several(signed(), signed(MANAGER, GOOGLE))], [NOT_ALLOWED]),
    "extension of one signature, identity of another": (
        [exactly(extensions={"buildTrigger": "release"})],
        [several(signed(), signed(MANAGER, GOOGLE, extensions={**BUILD, "buildTrigger": "release"}))],
        [NOT_ALLOWED, "buildTrigger push"],
    ),
    "a part of the identity": ([exactly(WORKFLOW[:-1])], [signed()], [NOT_ALLOWED]),
    "in other letters": ([exactly(WORKFLOW.upper())], [signed()], [NOT_ALLOWED]),
    "no patterns": ([exactly("https://github.com/example/*")], [signed()], [NOT_ALLOWED]),
    "an expression that matches a part": ([matching("example/app")], [signed()], [NOT_ALLOWED]),
    "an expression that matches the beginning": ([matching("https://github.com/example")], [signed()], [NOT_ALLOWED]),
    "an expression that matches one line": ([matching("(?m)https://github.com/example/a$")], [signed("https://github.com/example/a\nx")], [NOT_ALLOWED]),
    "alternatives are within the whole": ([matching("https://github.com/example/app|b")], [signed()], [NOT_ALLOWED]),
    "an expression for another issuer": ([{"certificateIdentity": WORKFLOW, "certificateOIDCIssuerRegExp": "https://accounts"}], [signed()], [NOT_ALLOWED]),
    "the report failed": ([exactly()], [signed(success=False)], [NONE]),
    "the verification failed": ([exactly()], [signed(verified=False)], [NONE]),
    "isSuccess a text": ([exactly()], [signed(success="true")], [NONE]),
    "isSuccess of the verification a text": ([exactly()], [signed(verified="true")], [NONE]),
    "isSuccess of the verification 1": ([exactly()], [signed(verified=1)], [NONE]),
    "isSuccess of the verification missing": ([exactly()], [with_certificate(lambda whole, good: good.pop("isSuccess"))], [NONE]),
    "signed by a key": ([exactly()], [by_key()], [NONE]),
    "no reports": ([exactly()], [], [NONE]),
    "of a notation verifier": ([exactly()], [report(extensions=keyless(WORKFLOW, ACTIONS))], [NONE]),
    "of another verifier": ([exactly()], [signed(type="other", verifierType="other")], [NONE]),
    "only nested": ([exactly()], [report(type="sbom", nestedResults=[signed()])], [NONE]),
    "no extensions": ([exactly()], [cosign()], [NONE]),
    "extensions null": ([exactly()], [cosign(extensions=None)], [NONE]),
    "extensions a text": ([exactly()], [cosign(extensions=WORKFLOW)], [NONE]),
    "signatures an object": ([exactly()], [cosign(extensions={"signatures": {"0": keyless(WORKFLOW, ACTIONS)["signatures"][0]}})], [NONE]),
    "signatures texts": ([exactly()], [cosign(extensions={"signatures": [WORKFLOW]})], [NONE]),
    "verifications an object": (
        [exactly()],
        [cosign(extensions={"signatures": [{"verifications": {"a": keyless(WORKFLOW, ACTIONS)["signatures"][0]["verifications"][0]}}]})],
        [NONE],
    ),
    "no verifications": ([exactly()], [cosign(extensions={"signatures": [{"signature": "sha256:" + "c" * 64}]})], [NONE]),
    "certificate missing": ([exactly()], [with_certificate(lambda whole, good: good.pop("certificate"))], [NONE]),
    "certificate null": ([exactly()], [with_certificate(lambda whole, good: good.update(certificate=None))], [NONE]),
    "certificate a text": ([exactly()], [with_certificate(lambda whole, good: good.update(certificate=WORKFLOW))], [NONE]),
    "certificates a list": ([exactly()], [with_certificate(lambda whole, good: good.update(certificate=[good["certificate"]]))], [NONE]),
    "no identity": ([exactly()], [with_certificate(lambda whole, good: good["certificate"].pop("identity"))], [NONE]),
    "no issuer": ([exactly()], [with_certificate(lambda whole, good: good["certificate"].pop("issuer"))], [NONE]),
    "identity a list": ([exactly()], [signed([WORKFLOW])], [NONE]),
    "issuer null": ([exactly()], [signed(issuer=None)], [NONE]),
    "identity empty": ([exactly()], [signed("")], [NONE]),
    "names beside the certificate": (
        [exactly()],
        [with_certificate(lambda whole, good: good.update(certificate={}, identity=WORKFLOW, issuer=ACTIONS))],
        [NONE],
    ),
    "an extension differs": ([exactly(extensions={"buildTrigger": "release"})], [signed()], [NOT_ALLOWED, "buildTrigger push"]),
    "an extension is missing": ([exactly(extensions={"deploymentEnvironment": "production"})], [signed()], [NOT_ALLOWED]),
    "one extension of two is missing": ([exactly(extensions={"buildTrigger": "push", "deploymentEnvironment": "production"})], [signed()], [NOT_ALLOWED]),
    "an expression for an extension matches a part": ([exactly(extensions={"sourceRepositoryRefRegExp": "heads/main"})], [signed()], [NOT_ALLOWED, "sourceRepositoryRef refs/heads/main"]),
    "an expression for an extension that is missing": ([exactly(extensions={"deploymentEnvironmentRegExp": "prod.*"})], [signed()], [NOT_ALLOWED]),
    "an extension of the name of an expression": ([exactly(extensions={"buildTriggerRegExp": "pu"})], [signed(extensions={"buildTrigger": "push", "buildTriggerRegExp": "p"})], [NOT_ALLOWED]),
    "no extensions at all": ([exactly(extensions={"buildTrigger": "push"})], [signed(extensions={})], [NOT_ALLOWED]),
    "extensions of the certificate null": (
        [exactly(extensions={"buildTrigger": "push"})],
        [with_certificate(lambda whole, good: good["certificate"].update(extensions=None))],
        [NOT_ALLOWED],
    ),
    "extensions of the certificate a text": (
        [exactly(extensions={"buildTrigger": "push"})],
        [with_certificate(lambda whole, good: good["certificate"].update(extensions="push"))],
        [NOT_ALLOWED],
    ),
    "an extension is a list": ([exactly(extensions={"buildTrigger": "push"})], [signed(extensions={"buildTrigger": ["push"]})], [NOT_ALLOWED]),
    # parameters
    "nobody may sign": (None, [signed()], ["identities must list who may sign"]),
    "an empty list": ([], [signed()], ["identities must list who may sign"]),
    "a text": (WORKFLOW, [signed()], ["identities must list who may sign"]),
    "an entry is a text": ([WORKFLOW], [signed()], ["identities[0] must be an object"]),
    "an entry says nothing": ([exactly(), {}], [signed()], ["identities[1] must have either certificateIdentity or certificateIdentityRegExp"]),
    "no issuer named": ([{"certificateIdentity": WORKFLOW}], [signed()], ["must have either certificateOIDCIssuer or certificateOIDCIssuerRegExp"]),
    "no identity named": ([{"certificateOIDCIssuer": ACTIONS}], [signed()], ["must have either certificateIdentity or certificateIdentityRegExp"]),
    "only extensions": ([{"extensions": {"buildTrigger": "push"}}], [signed()], ["must have either"]),
    "both forms": ([exactly(certificateIdentityRegExp=".*/release")], [signed()], ["must have either certificateIdentity or certificateIdentityRegExp"]),
    "a member misspelt": ([exactly(extension={"buildTrigger": "release"})], [signed()], ["identities[0] has a member extension, which is not known"]),
    "an identity that is empty": ([exactly(" ")], [signed()], ["identities[0] has a member certificateIdentity that is not a text"]),
    "an identity that is a list": ([exactly([WORKFLOW])], [signed()], ["certificateIdentity that is not a text"]),
    "no expression": ([matching("https://(github.com")], [signed()], ["certificateIdentityRegExp that is not an expression"]),
    "an expression that leaves its brackets": ([matching("a)|(?:.*")], [signed()], ["certificateIdentityRegExp that is not an expression"]),
    "an expression that matches anybody": ([matching(".*")], [signed()], ["certificateIdentityRegExp that anybody agrees with"]),
    "an expression that matches anybody with a name": ([matching("^.+$")], [signed()], ["anybody agrees with"]),
    "an expression that matches any issuer": ([{"certificateIdentity": WORKFLOW, "certificateOIDCIssuerRegExp": ".*"}], [signed()], ["certificateOIDCIssuerRegExp that anybody agrees with"]),
    "extensions empty": ([exactly(extensions={})], [signed()], ["extensions that does not map"]),
    "extensions a list": ([exactly(extensions=["push"])], [signed()], ["extensions that does not map"]),
    "an extension's value a number": ([exactly(extensions={"buildTrigger": 1})], [signed()], ["extensions that does not map"]),
    "an extension misspelt": ([exactly(extensions={"sourceRepositoryUri": "x"})], [signed()], ["has an extension sourceRepositoryUri, which is none of Fulcio's"]),
    "an extension of no name": ([exactly(extensions={"RegExp": "x"})], [signed()], ["has an extension RegExp, which is none of Fulcio's"]),
    "an extension in both forms": ([exactly(extensions={"buildTrigger": "push", "buildTriggerRegExp": "pu.*"})], [signed()], ["buildTriggerRegExp, which is there as a whole value and as an expression"]),
    "an extension's expression that is none": ([exactly(extensions={"buildTriggerRegExp": "("})], [signed()], ["buildTriggerRegExp, which is not an expression"]),
    "an extension's expression that matches anything": ([exactly(extensions={"buildTriggerRegExp": ".*"})], [signed()], ["buildTriggerRegExp, which anybody agrees with"]),
}


@pytest.mark.parametrize("name", DENIED)
def test_denied(name):
    identities, reports, texts = DENIED[name]
    found = ask(identities, *reports)
    assert len(found) >= 1, "admitted"
    for text in texts:
        assert any(text in message for message in found), found


def test_the_answer_itself_still_counts():
    assert ask([exactly()], signed(), success=False)


def test_require_all_must_be_a_boolean():
    (found,) = ask([exactly()], signed(), requireAllIdentities="true")
    assert "requireAllIdentities must be true or false" in found


def test_each_image_needs_its_own():
    good, other = value(reports=[signed()]), value(reports=[signed(MANAGER, GOOGLE)])
    parameters = {"identities": [exactly()]}
    for review in [
        pod(A, initContainers=[{"name": "i", "image": B}]),
        pod(A, ephemeralContainers=[{"name": "e", "image": B}]),
        pod(A, volumes=[{"name": "v", "image": {"reference": B}}]),
        review_of("CronJob", {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "a", "image": A}, {"name": "b", "image": B}]}}}}}),
    ]:
        assert agree(TEMPLATE, review, answer((A, good), (B, good)), parameters) == []
        (found,) = agree(TEMPLATE, review, answer((A, good), (B, other)), parameters)
        assert found.startswith(f"Subject failed verification: {B} - ") and MANAGER in found


def test_every_signer_is_named_in_the_message():
    (found,) = ask([exactly("nobody")], signed(), signed(MANAGER, GOOGLE))
    assert f"{WORKFLOW}, by {ACTIONS}; {MANAGER}, by {GOOGLE}. Sign it as an identity that the policy allows" in found


def test_names_of_extensions_are_those_of_the_verifier():
    source = (ROOT / "Sources" / "Sigstore" / "FulcioExtension.swift").read_text()
    (body,) = re.findall(r"public enum FulcioExtension.*?\{(.*?)\n\n", source, re.DOTALL)
    cases = {name for line in re.findall(r"^    case ([\w, ]+)$", body, re.MULTILINE) for name in line.split(", ")}
    (names,) = re.findall(r"^extension_names := \{(.*?)\}", template_rego(TEMPLATE), re.MULTILINE | re.DOTALL)
    assert set(re.findall(r'"(\w+)"', names)) == cases - {"issuer"}
