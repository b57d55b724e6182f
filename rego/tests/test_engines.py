"""Gatekeeper's own engine, Open Policy Agent, gives the same answers as the one that all other tests ask, and asks once."""

import pytest

import test_admission
import test_exemption
from engine import DEFAULT, TEMPLATES, answer, messages, pod
from matrix import A, B, BAD_ANSWERS, BAD_OBJECTS, BAD_RESULTS, FITTING, HIDING_PLACES
from opa import agent


def key(template, image):
    return f"[team-a]{image}" if template == "multi-tenancy-validation" else image


def agree(template, review, response, parameters, **options):
    found = agent(template).messages(review, response, parameters, **options)
    assert found == messages(review, response, parameters, template=template, **options)
    return found


@pytest.fixture(params=TEMPLATES)
def template(request):
    return request.param


def test_what_is_admitted(template):
    good = FITTING[template]
    response = answer((key(template, A), good["value"]), (key(template, B), good["value"]))
    assert agree(template, pod(A, B, A), response, good["parameters"]) == []
    assert agent(template).questions == [{"provider": "ratify-provider", "keys": sorted([key(template, A), key(template, B)])}]


def test_what_is_denied(template):
    good, parameters = FITTING[template]["value"], FITTING[template]["parameters"]
    for change in BAD_RESULTS.values():
        assert agree(template, pod(A), answer((key(template, A), change(good))), parameters)
    for change in BAD_ANSWERS.values():
        assert agree(template, pod(A), change(key(template, A), good), parameters)
    both = answer((key(template, A), good), (key(template, B), good))
    for review in BAD_OBJECTS.values():
        assert agree(template, review, both, parameters)
    for review in HIDING_PLACES.values():
        assert agree(template, review, answer((key(template, A), good)), parameters)
    for wrong in [{"maximumImages": "1"}, {"maximumImages": 0}, {"exemptImages": A}, {"nonsense": None}, {"provider": ""}]:
        assert agree(template, pod(A), both, {**parameters, **wrong})
        assert agent(template).questions == []


def test_the_rows_of_the_default():
    for review, response, parameters in test_admission.ADMITTED.values():
        assert agree(DEFAULT, review, response, parameters) == []
    for review, response, parameters, _ in test_admission.DENIED.values():
        assert agree(DEFAULT, review, response, parameters)
    for entry, image, exempt in test_exemption.CASES:
        assert (agree(DEFAULT, pod(image), answer(), {"exemptImages": [entry]}) == []) == exempt


def test_what_a_prefix_of_docker_hub_exempts(template):
    parameters = FITTING[template]["parameters"]
    for entry, image, exempt in test_exemption.CASES:
        if entry.startswith("docker.io/l"):
            found = agree(template, pod(image), answer(), {**parameters, "exemptImages": [entry]})
            assert (found == []) == exempt, (entry, image)


def test_too_many_images_are_not_asked_for(template):
    images = [f"registry.example/app{i}:v1" for i in range(101)]
    good = FITTING[template]
    response = answer(*[(key(template, image), good["value"]) for image in images])
    assert len(agree(template, pod(*images), response, good["parameters"])) == 1
    assert agent(template).questions == []
