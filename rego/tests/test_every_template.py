"""Every template fails closed in the same rows; only what it requires beyond that differs."""

import pytest

from engine import BEGINNING, TEMPLATES, answer, messages, pod
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
