"""What the provider is asked, and when it is not asked at all."""

from engine import answer, messages, pod, question, review_of

A = "registry.example/app:v1"
B = "registry.example/side:v2"


def test_every_image_once_and_in_order():
    review = pod(
        B,
        A,
        B,
        initContainers=[{"name": "i", "image": A}, {"name": "j", "image": "init"}],
        ephemeralContainers=[{"name": "e", "image": "debug"}],
        volumes=[{"name": "m", "image": {"reference": "model"}}],
    )
    assert question(review) == {"provider": "ratify-provider", "keys": ["debug", "init", "model", A, B]}


def test_images_as_they_are_written():
    assert question(pod("nginx", "Nginx"))["keys"] == ["Nginx", "nginx"]


def test_provider_by_parameter():
    assert question(pod(A), {"provider": "countersign"})["provider"] == "countersign"


def test_keys_with_the_namespace_of_the_request():
    review = pod(A)
    review["object"]["metadata"]["namespace"] = "elsewhere"
    assert question(review, {"namespacedKeys": True})["keys"] == ["[team-a]" + A]


def test_keys_with_the_namespace_of_the_object_where_the_request_has_none():
    review = pod(A)
    del review["namespace"]
    assert question(review, {"namespacedKeys": True})["keys"] == ["[team-a]" + A]


def test_no_namespace_when_that_is_off():
    assert question(pod(A), {"namespacedKeys": False})["keys"] == [A]


def test_exempt_images_are_not_asked_for():
    assert question(pod(A, B), {"exemptImages": [A]})["keys"] == [B]


def test_no_question_when_everything_is_exempt():
    assert question(pod(A, A), {"exemptImages": [A]}) is None
    assert messages(pod(A), answer(system_error="down"), {"exemptImages": [A]}) == []
    assert messages(pod(A), parameters={"exemptImages": [A]}, answered=False) == []


def test_no_question_about_images_that_are_none():
    assert question(pod("", "[team-b]" + A)) is None
    assert question(review_of("ConfigMap", None)) is None


def test_no_question_with_parameters_that_cannot_be_read():
    assert question(pod(A), {"namespacedKeys": "yes"}) is None
