"""What the policy costs on Gatekeeper's engine grows with the images, not with their square.

Whoever makes a review last longer than Gatekeeper's webhook waits is admitted where failurePolicy is Ignore.
"""

import time

import pytest

from engine import DEFAULT, TEMPLATES, answer, pod, value
from matrix import FITTING
from opa import OpenPolicyAgent


def images(count):
    return [f"registry.example/team/app{i}@sha256:{i:064x}" for i in range(count)]


def answers(template, count):
    """Answers that admit, that deny each image, that name each image twice, and that are errors."""
    keys = [f"[team-a]{image}" if template == "multi-tenancy-validation" else image for image in images(count)]
    good = FITTING[template]["value"]
    return {
        "admitted": answer(*[(key, good) for key in keys]),
        "denied": answer(*[(key, value(False)) for key in keys]),
        "twice": answer(*[(key, good) for key in keys + keys]),
        "errors": answer(errors=[(key, "unsigned") for key in keys]),
        "errors of others": answer(*[(key, good) for key in keys], errors=[(f"{key}x", "odd") for key in keys]),
        "system error": answer(system_error="429"),
    }


class Question:
    def __init__(self, agent, template, count, **parameters):
        self.agent = agent
        self.document = agent.prepare(pod(*images(count)), {**FITTING[template]["parameters"], "maximumImages": 1000, **parameters})

    def steps(self, response):
        return self.agent.evaluate(self.document, response, trace=True)[1]

    def seconds(self, response):
        """Processor time of the fastest of three: what else runs on the machine does not count."""

        def once():
            start = time.process_time()
            self.agent.evaluate(self.document, response)
            return time.process_time() - start

        return min(once() for _ in range(3))


@pytest.fixture(params=TEMPLATES)
def template(request):
    return request.param


@pytest.fixture
def agent(template):
    return OpenPolicyAgent(template)


def assert_linear(steps):
    """Of steps that grow in a line the second difference is twice the first; a square makes it four times."""
    few, more, many = (steps(count) for count in [8, 16, 32])
    assert 0 < many - more < 2.1 * (more - few), (few, more, many)


@pytest.mark.parametrize("kind", answers("ratifyverification", 0))
def test_steps_grow_with_the_images(kind, template, agent):
    assert_linear(lambda count: Question(agent, template, count).steps(answers(template, count)[kind]))


def test_exemptions_cost_each_image_once(template, agent):
    exempt = [f"registry.example/exempt{i}:v1" for i in range(10)] + [f"registry.example/exempt{i}/*" for i in range(10)]
    assert_linear(lambda count: Question(agent, template, count, exemptImages=exempt).steps(answers(template, count)["admitted"]))


def test_time_grows_with_the_images(template, agent):
    # 34f3594: forty to sixty times as long.
    few, many = (Question(agent, template, count).seconds(answers(template, count)["admitted"]) for count in [100, 1000])
    assert many < 25 * few, (few, many)
    # docs/limits.md: eight of these at once on one core are the policy's part of what a webhook of 3 s waits.
    assert few < 0.3, few


# As large as an object can be: the API server takes 3 MiB.
LARGE = {
    "containers": {"images": ["a"] * 60000},
    "init containers": {"images": ["a"], "initContainers": [{}] * 200000},
    "a long image": {"images": ["registry.example/" + "a" * 3_000_000]},
    "images": {"images": images(1000)},
}


@pytest.mark.parametrize("kind", LARGE)
def test_what_is_too_large_costs_little(kind):
    agent = OpenPolicyAgent(DEFAULT)
    spec = dict(LARGE[kind])
    review = pod(*spec.pop("images"), **spec)
    costs = []
    # Reading the document is the engine's part: what a deletion costs. The policy's comes on top.
    for document in [agent.prepare({**review, "operation": "DELETE"}), agent.prepare(review)]:
        start = time.process_time()
        found, _ = agent.evaluate(document, answered=False)
        costs.append(time.process_time() - start)
    assert len(found) == 1 and agent.questions == []
    assert costs[1] < 2 * costs[0] + 0.5, costs
