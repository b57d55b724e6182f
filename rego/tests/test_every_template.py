"""Every template fails closed in the same rows; only what it requires beyond that differs."""

import pytest

from engine import BEGINNING, TEMPLATES, answer, messages, pod, report, value
from matrix import A, B, BAD_ANSWERS, BAD_OBJECTS, BAD_RESULTS, FITTING, HIDING_PLACES


@pytest.fixture(params=TEMPLATES)
def template(request):
    return request.param


@pytest.fixture
def ask(template):
    """Asks this template with parameters that fit; `key` is how it asks for an image."""

    def asked(review, response, parameters=None, **options):
        return messages(review, response, {**FITTING[template]["parameters"], **(parameters or {})}, template=template, **options)

    return asked


def key(template, image):
    return f"[team-a]{image}" if template == "multi-tenancy-validation" else image


@pytest.fixture
def good(template):
    return FITTING[template]["value"]


def test_admits_what_it_should(template, ask, good):
    assert ask(pod(A, B), answer((key(template, A), good), (key(template, B), good))) == []


@pytest.mark.parametrize("row", BAD_RESULTS)
def test_results(row, template, ask, good):
    found = ask(pod(A), answer((key(template, A), BAD_RESULTS[row](good))))
    assert len(found) == 1, found
    assert found[0].startswith(f"{BEGINNING}{A} - ")


@pytest.mark.parametrize("row", BAD_ANSWERS)
def test_answers(row, template, ask, good):
    assert ask(pod(A), BAD_ANSWERS[row](key(template, A), good))


@pytest.mark.parametrize("row", BAD_OBJECTS)
def test_objects(row, template, ask, good):
    assert ask(BAD_OBJECTS[row], answer((key(template, A), good), (key(template, B), good)))


@pytest.mark.parametrize("row", HIDING_PLACES)
def test_no_image_is_overlooked(row, template, ask, good):
    found = ask(HIDING_PLACES[row], answer((key(template, A), good)))
    assert [message for message in found if f"{BEGINNING}{B} - " in message], found


def test_a_call_without_a_value(ask):
    found = ask(pod(A), None, answered=False)
    assert len(found) == 1
    assert "did not answer (Provider object ratify-provider)" in found[0]


def test_deletion_is_not_blocked(ask):
    assert ask(pod(A, operation="DELETE"), None, answered=False) == []


def test_exemptions_mean_the_same(ask):
    assert ask(pod(A), answer(), {"exemptImages": [A]}) == []
    assert ask(pod(A), answer(), {"exemptImages": ["registry.example/*"]}) == []
    assert ask(pod(A, B), answer(), {"exemptImages": [A]})
    # Docker Hub's own images are not all of a namespace that a prefix begins.
    assert ask(pod("docker.io/evil"), answer(), {"exemptImages": ["docker.io/l*"]})
    assert ask(pod("docker.io/library/evil"), answer(), {"exemptImages": ["docker.io/l*"]})
    assert ask(pod("docker.io/linux", "docker.io/linuxserver/app"), answer(), {"exemptImages": ["docker.io/l*"]}) == []


@pytest.mark.parametrize(
    "parameters",
    [{"provider": 5}, {"exemptImages": A}, {"namespacedKeys": "no"}, {"exemptImage": [A]}, {"nonsense": None}, {"nonsense": False}],
)
def test_parameters_that_cannot_be_read(parameters, template, ask, good):
    found = ask(pod(A), answer((key(template, A), good)), parameters)
    assert len(found) == 1
    assert found[0].startswith(f"{BEGINNING}Pod web - the constraint's parameters are wrong, so nothing is admitted by it: ")


@pytest.mark.parametrize("parameters", ["none", ["none"], 1, True])
def test_parameters_that_are_no_object(parameters, template, good):
    assert messages(pod(A), answer((key(template, A), good)), parameters, template=template)


def about(good, *digests):
    """The same result about several digests of an image, each with the reports of the good one."""
    reports = [
        {**report, "extensions": {**report.get("extensions", {}), "subjectDigest": digest}} for digest in digests for report in good["verifierReports"]
    ]
    return {**good, "verifierReports": reports}


AMD64, ARM64 = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def test_what_is_required_holds_for_each_digest_of_an_image(template, ask, good):
    """policy.plugin.signedBy: each platform's manifest."""
    assert ask(pod(A), answer((key(template, A), about(good, AMD64)))) == []
    both = about(good, AMD64, ARM64)
    assert ask(pod(A), answer((key(template, A), both))) == []
    # A report without a digest is about all of them, such as that of a trust policy that skips an image.
    waiver = {"subject": A, "isSuccess": True, "verifierType": "other", "artifactType": "application/vnd.cncf.notary.signature", "message": "skipped"}
    assert ask(pod(A), answer((key(template, A), {**both, "verifierReports": both["verifierReports"] + [waiver]}))) == []
    if template in ["ratifyverification", "multi-tenancy-validation"]:
        return
    # One of them with a report that is of no use to the template.
    one = {**both, "verifierReports": both["verifierReports"][:1] + [{**both["verifierReports"][1], "verifierType": "other", "type": "other", "artifactType": "other", "extensions": {"subjectDigest": ARM64}}]}
    (message,) = ask(pod(A), answer((key(template, A), one)))
    assert f"(this is about {ARM64})" in message


@pytest.mark.parametrize("parameters", [{"minimumPassingSignatures": 2}, {"minimumPassingSignaturesByType": {"notation": 2}}])
def test_signatures_are_counted_for_each_digest(parameters):
    def signed(digest, letter):
        return report(digest="sha256:" + letter * 64, extensions={"subjectDigest": digest})

    def ask(*reports):
        return messages(pod(A), answer((A, value(reports=list(reports)))), parameters)

    assert ask(report(digest="sha256:" + "a" * 64), report(digest="sha256:" + "b" * 64)) == []
    # Two platforms with one signature each are not an image with two signatures.
    (message,) = ask(signed(AMD64, "a"), signed(ARM64, "b"))
    assert f"(this is about {AMD64})" in message
    (message,) = ask(signed(AMD64, "a"), signed(AMD64, "b"), signed(ARM64, "c"))
    assert f"(this is about {ARM64})" in message
    assert ask(signed(AMD64, "a"), signed(AMD64, "b"), signed(ARM64, "c"), signed(ARM64, "d")) == []


def test_a_type_is_required_of_each_digest():
    def of_type(digest, kind, letter):
        return report(digest="sha256:" + letter * 64, type=kind, extensions={"subjectDigest": digest})

    parameters = {"requiredVerifierTypes": ["notation", "cosign"]}
    complete = [of_type(digest, kind, letter) for digest, kind, letter in [(AMD64, "notation", "a"), (AMD64, "cosign", "b"), (ARM64, "notation", "c"), (ARM64, "cosign", "d")]]
    assert messages(pod(A), answer((A, value(reports=complete))), parameters) == []
    for missing in range(4):
        assert len(messages(pod(A), answer((A, value(reports=complete[:missing] + complete[missing + 1 :]))), parameters)) == 1
