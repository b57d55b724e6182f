"""Whatever the answer holds, only an explicit isSuccess == true admits. POLICY_EXAMPLES=500 looks longer."""

import copy
import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import BEGINNING, answer, messages, passed, pod, report, value

IMAGES = [f"registry.example/app{i}:v1" for i in range(4)]

# Without control characters and backslashes: this engine's own output is no JSON where a message holds them escaped twice.
TEXT = st.text(st.characters(min_codepoint=32, codec="utf-8", exclude_characters="\\", exclude_categories=["Cc", "Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-3, 300) | st.floats(allow_nan=False, allow_infinity=False, width=32) | TEXT
KEYS = st.sampled_from(["isSuccess", "verifierReports", "traceID", "message", "errors", "responses", "system_error"]) | TEXT
JSON = st.recursive(SCALARS, lambda c: st.lists(c, max_size=3) | st.dictionaries(KEYS, c, max_size=4), max_leaves=8)

SLOW = settings(
    max_examples=int(os.environ.get("POLICY_EXAMPLES", "100")),
    derandomize="POLICY_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def is_pass(candidate):
    """Our own reading of what admits, for the values a generator may hit by chance."""
    if not isinstance(candidate, dict) or candidate.get("isSuccess") is not True:
        return False
    reports = candidate.get("verifierReports")
    return reports is None or (isinstance(reports, list) and all(isinstance(r, dict) for r in reports))


@st.composite
def damaged_values(draw):
    """A good value with its verdict or its reports replaced."""
    whole = copy.deepcopy(value(reports=[report()]))
    member = draw(st.sampled_from(["isSuccess", "verifierReports"]))
    if draw(st.booleans()):
        whole[member] = draw(JSON)
    elif member == "isSuccess":
        del whole[member]
    else:
        whole[member].append(draw(SCALARS))
    return whole


@given(st.lists(JSON | damaged_values(), min_size=len(IMAGES), max_size=len(IMAGES)))
@SLOW
def test_an_image_is_admitted_only_by_an_explicit_pass(values):
    found = messages(pod(*IMAGES), answer(*zip(IMAGES, values)))
    for image, candidate in zip(IMAGES, values):
        refused = any(message.startswith(f"{BEGINNING}{image} - ") for message in found)
        assert refused != is_pass(candidate), (image, candidate, found)


@given(JSON)
@SLOW
def test_an_answer_of_any_shape_does_not_admit(whole):
    assert messages(pod(IMAGES[0]), whole)


@given(st.lists(JSON | st.tuples(st.just(IMAGES[0]), JSON.filter(lambda v: not is_pass(v))).map(list), max_size=4), JSON, JSON)
@SLOW
def test_lists_of_any_entries_do_not_admit(responses, errors, system_error):
    assert messages(pod(IMAGES[0]), {"responses": responses, "errors": errors, "system_error": system_error})


@given(st.sampled_from(["responses", "errors"]), JSON.filter(lambda v: v not in ([], None)))
@SLOW
def test_a_good_answer_beside_a_damaged_list_does_not_admit(member, damage):
    whole = passed(IMAGES[0])
    whole[member] = [*whole[member], damage] if member == "responses" else damage
    if member == "responses" and isinstance(damage, list) and len(damage) == 2 and isinstance(damage[0], str):
        return  # a sound pair for an image nobody asked about
    assert messages(pod(IMAGES[0]), whole)


@given(JSON)
@SLOW
def test_an_object_of_any_shape_is_not_admitted_without_an_answer(spec):
    review = pod(IMAGES[0])
    review["object"]["spec"] = spec
    assert messages(review, answer())


@given(JSON)
@SLOW
def test_a_container_of_any_shape_is_not_admitted_beside_a_good_one(container):
    assert messages(pod(IMAGES[0], initContainers=[container]), passed(IMAGES[0]))


NAMES = st.sampled_from(["CN=a,O=b", "CN=a", "O=b", "CN=a,O=b,O=b", "CN=a\\,O=b", "CN=a,O=b\\", "O=b+CN=a"]) | JSON


@given(st.lists(st.fixed_dictionaries({"Issuer": NAMES, "SN": NAMES}) | JSON, min_size=len(IMAGES), max_size=len(IMAGES)))
@SLOW
def test_a_signer_is_allowed_only_by_its_names(signers):
    answered = answer(*[(image, value(reports=[report(extensions=signer)])) for image, signer in zip(IMAGES, signers)])
    parameters = {"issuers": ["CN=a,O=b"], "signers": [{"subjectAttributes": {"O": "b"}}]}
    found = messages(pod(*IMAGES), answered, parameters, template="notation-issuer-validation")
    for image, signer in zip(IMAGES, signers):
        names = signer if isinstance(signer, dict) else {}
        allowed = names.get("Issuer") == "CN=a,O=b" and names.get("SN") in ["CN=a,O=b", "O=b", "O=b+CN=a"]
        refused = any(message.startswith(f"{BEGINNING}{image} - ") for message in found)
        assert refused != allowed, (signer, found)
