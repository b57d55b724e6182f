"""A review has to end while Gatekeeper's webhook waits, for one that does not is admitted where failurePolicy is Ignore."""

import pytest

from engine import TEMPLATES, answer, messages, pod, question, review_of
from matrix import FITTING

IMAGES = [f"registry.example/team/app{i}:v1" for i in range(1001)]


@pytest.fixture(params=TEMPLATES)
def template(request):
    return request.param


def key(template, image):
    return f"[team-a]{image}" if template == "multi-tenancy-validation" else image


def good(template, images):
    return answer(*[(key(template, image), FITTING[template]["value"]) for image in images])


def parameters(template, **more):
    return {**FITTING[template]["parameters"], **more}


def test_as_many_images_as_are_allowed(template):
    assert messages(pod(*IMAGES[:100]), good(template, IMAGES[:100]), parameters(template), template=template) == []
    (found,) = messages(pod(*IMAGES[:100]), good(template, IMAGES[:99]), parameters(template), template=template)
    assert found.startswith(f"Subject failed verification: {IMAGES[99]} - ")


def test_one_more_is_refused_before_anything_is_asked(template):
    review = pod(*IMAGES[:101])
    (found,) = messages(review, good(template, IMAGES[:101]), parameters(template), template=template)
    assert found == (
        "Subject failed verification: Pod web - it has 101 different images, and the policy allows 100 in one object, so none of"
        " them is verified. Split it into several objects, or raise maximumImages in the constraint"
    )
    assert question(review, parameters(template), template) is None


def test_images_in_all_places_count(template):
    spec = {
        "containers": [{"name": "c", "image": IMAGES[0]}],
        "initContainers": [{"name": "i", "image": IMAGES[1]}],
        "ephemeralContainers": [{"name": "e", "image": IMAGES[2]}],
        "volumes": [{"name": "v", "image": {"reference": IMAGES[3]}}],
    }
    for review in [review_of("Pod", spec), review_of("Deployment", {"template": {"spec": spec}})]:
        assert messages(review, good(template, IMAGES[:4]), parameters(template, maximumImages=4), template=template) == []
        (found,) = messages(review, good(template, IMAGES[:4]), parameters(template, maximumImages=3), template=template)
        assert "it has 4 different images, and the policy allows 3" in found


def test_one_image_in_many_places_is_one():
    assert messages(pod(*[IMAGES[0]] * 20), good("ratifyverification", IMAGES[:1]), {"maximumImages": 2}) == []


def test_exempt_images_count():
    found = messages(pod(*IMAGES[:3]), answer(), {"maximumImages": 2, "exemptImages": ["registry.example/*"]})
    assert len(found) == 1 and "it has 3 different images" in found[0]


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [{"name": "c", "image": IMAGES[0]}] * 1001},
        {"containers": [{"name": "c", "image": IMAGES[0]}], "volumes": [{"name": "v", "emptyDir": {}}] * 1000},
        {"containers": [{"name": "c", "image": IMAGES[0]}], "initContainers": [{}] * 500, "ephemeralContainers": [None] * 500},
        {"containers": {str(i): {"name": "c", "image": IMAGES[0]} for i in range(1001)}},
    ],
)
def test_more_places_than_are_looked_at(template, spec):
    review = review_of("Pod", spec)
    found = messages(review, good(template, IMAGES[:1]), parameters(template), template=template)
    assert "it has 1001 containers and volumes, and at most 1000 are looked at" in "".join(found)
    assert len(found) <= 2
    assert question(review, parameters(template), template) is None


def test_a_deletion_is_not_held_by_size(template):
    assert messages(pod(*IMAGES, operation="DELETE"), None, parameters(template), answered=False, template=template) == []


def test_wrong_limits_admit_nothing(template):
    for wrong in ["100", 0, -1, True, False, [1], {"a": 1}, 0.5]:
        found = messages(pod(IMAGES[0]), good(template, IMAGES[:1]), parameters(template, maximumImages=wrong), template=template)
        assert len(found) == 1 and "maximumImages must be a number of at least 1" in found[0], (wrong, found)
        assert question(pod(IMAGES[0]), parameters(template, maximumImages=wrong), template) is None
