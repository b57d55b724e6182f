"""What is admitted and what is denied, one row a case: the object, the answer, the parameters, what the message says."""

import pytest

from engine import BEGINNING, answer, messages, passed, pod, report, review_of, value

A = "registry.example/app:v1"
B = "registry.example/side@sha256:" + "b" * 64
OK_A = (A, value())

POD_SPEC = {"containers": [{"name": "web", "image": A}]}
TEMPLATE = {"template": {"spec": POD_SPEC}}
CRON = {"jobTemplate": {"spec": TEMPLATE}}
VOLUME = {"name": "model", "image": {"reference": B}}

# name: (review, answer, parameters)
ADMITTED = {
    "one verified image": (pod(A), passed(A), None),
    "two verified images": (pod(A, B), passed(A, B), None),
    "one image in two containers": (pod(A, A), passed(A), None),
    "init container": (pod(A, initContainers=[{"name": "i", "image": B}]), passed(A, B), None),
    "ephemeral container": (pod(A, ephemeralContainers=[{"name": "e", "image": B}]), passed(A, B), None),
    "image volume": (pod(A, volumes=[VOLUME]), passed(A, B), None),
    "volumes of other kinds": (pod(A, volumes=[{"name": "v", "emptyDir": {}}, {"name": "n", "image": None}]), passed(A), None),
    "null lists": (pod(A, initContainers=None, ephemeralContainers=None, volumes=None), passed(A), None),
    "update": (pod(A, operation="UPDATE"), passed(A), None),
    "audit has no operation": (pod(A, operation=""), passed(A), None),
    "deployment": (review_of("Deployment", TEMPLATE), passed(A), None),
    "statefulset": (review_of("StatefulSet", TEMPLATE), passed(A), None),
    "daemonset": (review_of("DaemonSet", TEMPLATE), passed(A), None),
    "replicaset": (review_of("ReplicaSet", TEMPLATE), passed(A), None),
    "replicationcontroller": (review_of("ReplicationController", TEMPLATE), passed(A), None),
    "job": (review_of("Job", TEMPLATE), passed(A), None),
    "cronjob": (review_of("CronJob", CRON), passed(A), None),
    "podtemplate": (review_of("PodTemplate", None, template={"spec": POD_SPEC}), passed(A), None),
    "another kind with a pod template": (review_of("Rollout", TEMPLATE), passed(A), None),
    "deletion of a refused pod": (pod(A, operation="DELETE"), answer((A, value(False))), None),
    "deletion without an object": ({"operation": "DELETE", "kind": {"kind": "Pod"}, "object": None}, answer(), None),
    "no reports": (pod(A), answer((A, {"isSuccess": True})), None),
    "null reports": (pod(A), answer((A, value(verifierReports=None))), None),
    "one failed and one good signature": (pod(A), answer((A, value(reports=[report(False), report(True)]))), None),
    "null errors and system error": (pod(A), answer(OK_A, errors=[], system_error=None), None),
    "answers for images that were not asked for": (pod(A), answer(OK_A, (B, value(False))), None),
    "status code means nothing": (pod(A), {**passed(A), "status_code": 500}, None),
    "empty parameters": (pod(A), passed(A), {}),
    "null parameters": (pod(A), passed(A), {"exemptImages": None, "minimumPassingSignatures": None}),
    "an IPv6 registry": (pod("[fd00::1]:5000/app:v1"), passed("[fd00::1]:5000/app:v1"), None),
    # parameters
    "exempt image, nothing else": (pod(A), answer(), {"exemptImages": [A]}),
    "exempt image among verified ones": (pod(A, B), passed(B), {"exemptImages": [A]}),
    "namespaced key": (pod(A), passed("[team-a]" + A), {"namespacedKeys": True}),
    "required type": (pod(A), passed(A), {"requiredVerifierTypes": ["notation"]}),
    "required type under its older name": (
        pod(A),
        answer((A, value(reports=[{"isSuccess": True, "type": "notation"}]))),
        {"requiredVerifierTypes": ["notation"]},
    ),
    "two required types": (
        pod(A),
        answer((A, value(reports=[report(), report(type="sbom", digest="sha256:2")]))),
        {"requiredVerifierTypes": ["notation", "sbom"]},
    ),
    "enough signatures": (
        pod(A),
        answer((A, value(reports=[report(digest="sha256:1"), report(False, digest="sha256:2"), report(digest="sha256:3")]))),
        {"minimumPassingSignatures": 2},
    ),
    "minimum zero": (pod(A), answer((A, value(reports=[]))), {"minimumPassingSignatures": 0}),
    "enough signatures by type": (
        pod(A),
        answer((A, value(reports=[report(digest="sha256:1"), report(digest="sha256:2"), report(type="other", digest="sha256:3")]))),
        {"minimumPassingSignaturesByType": {"notation": 2, "other": 1}},
    ),
}


@pytest.mark.parametrize("name", ADMITTED)
def test_admitted(name):
    review, response, parameters = ADMITTED[name]
    assert messages(review, response, parameters) == []


FAILED_REPORT = report(
    False,
    message="Failed to verify the signature.",
    errorReason="signature is not produced by a trusted signer",
    remediation="add the signer to the trust policy",
)

# name: (review, answer, parameters, texts that must be in the messages)
DENIED = {
    # the verdict
    "not verified": (pod(A), answer((A, value(False))), None, [f"{BEGINNING}{A} - ", "signature not verified"]),
    "says what failed, why and what to do": (
        pod(A),
        answer((A, value(False, reports=[FAILED_REPORT]))),
        None,
        [
            "notation: Failed to verify the signature. signature is not produced by a trusted signer. "
            "add the signer to the trust policy [trace 7574b5d7]"
        ],
    ),
    "first failed of several": (
        pod(A),
        answer((A, value(False, reports=[report(), FAILED_REPORT, report(False)]))),
        None,
        ["not produced by a trusted signer", "(1 more check failed)"],
    ),
    "several more failed": (
        pod(A),
        answer((A, value(False, reports=[report(False), report(False), report(False)]))),
        None,
        ["(2 more checks failed)"],
    ),
    "failed nested result": (
        pod(A),
        answer((A, value(False, reports=[report(nestedResults=[report(False, message="SBOM not signed")])]))),
        None,
        ["SBOM not signed"],
    ),
    "failed without a report": (pod(A), answer((A, value(False, reports=[]))), None, [A, "does not say why"]),
    "failed, report without words": (pod(A), answer((A, value(False, reports=[{"isSuccess": False}]))), None, [A, "does not say why"]),
    "failed, reports malformed": (pod(A), answer((A, value(False, reports="none"))), None, [A, "does not say why"]),
    "failed, null in reports": (pod(A), answer((A, value(False, reports=[None, 3]))), None, [A, "does not say why"]),
    "failed without timestamp and trace": (pod(A), answer((A, {"isSuccess": False})), None, [f"{BEGINNING}{A} - "]),
    "failed, trace is a number": (pod(A), answer((A, value(False, traceID=7))), None, [f"{BEGINNING}{A} - "]),
    "failed, message is an object": (
        pod(A),
        answer((A, value(False, reports=[report(False, message={"a": 1}, errorReason="unsigned")]))),
        None,
        ["notation: unsigned"],
    ),
    "message of several lines": (
        pod(A),
        answer((A, value(False, reports=[report(False, message="one\r\ntwo\tthree")]))),
        None,
        ["notation: one  two three"],
    ),
    "percent signs in a message": (
        pod(A),
        answer((A, value(False, reports=[report(False, message="100%s %d done")]))),
        None,
        ["notation: 100%s %d done"],
    ),
    "one of two images": (pod(A, B), answer(OK_A, (B, value(False))), None, [f"{BEGINNING}{B} - "]),
    # the result is not what it should be
    "isSuccess missing": (pod(A), answer((A, {"verifierReports": []})), None, [A, "isSuccess is null"]),
    "isSuccess null": (pod(A), answer((A, value(isSuccess=None))), None, [A, "isSuccess is null"]),
    "isSuccess is a string": (pod(A), answer((A, value("true", reports=[]))), None, [A, "isSuccess is true instead of"]),
    "isSuccess is 1": (pod(A), answer((A, value(1, reports=[]))), None, [A, "isSuccess is 1"]),
    "isSuccess is a list": (pod(A), answer((A, value([True], reports=[]))), None, [A, "isSuccess is [true]"]),
    "isSuccess is an object": (pod(A), answer((A, value({"isSuccess": True}, reports=[]))), None, [A, "malformed"]),
    "isSuccess in other letters": (pod(A), answer((A, {"issuccess": True, "IsSuccess": True})), None, [A, "malformed"]),
    "isSuccess only in a report": (pod(A), answer((A, {"verifierReports": [report()]})), None, [A, "malformed"]),
    "older member name": (pod(A), answer((A, {"succeeded": True})), None, [A, "malformed"]),
    "value null": (pod(A), answer((A, None)), None, [A, "malformed: null"]),
    "value true": (pod(A), answer((A, True)), None, [A, "malformed: true"]),
    "value is a string": (pod(A), answer((A, '{"isSuccess":true}')), None, [A, "malformed"]),
    "value is a number": (pod(A), answer((A, 1)), None, [A, "malformed: 1"]),
    "value is a list": (pod(A), answer((A, [value()])), None, [A, "malformed"]),
    "value is empty": (pod(A), answer((A, {})), None, [A, "malformed"]),
    "reports are a string": (pod(A), answer((A, value(reports="ok"))), None, [A, "not a list of reports"]),
    "reports are an object": (pod(A), answer((A, value(reports={"0": report()}))), None, [A, "not a list of reports"]),
    "a report is null": (pod(A), answer((A, value(reports=[report(), None]))), None, [A, "not a list of reports"]),
    # the answer is not what it should be
    "no answer": (pod(A), answer(), None, [f"{BEGINNING}{A} - ", "gave no result"]),
    "answer for another image": (pod(A), passed(B), None, [A, "gave no result"]),
    "answer for the normalised image": (pod("nginx"), passed("docker.io/library/nginx:latest"), None, [BEGINNING + "nginx - ", "gave no result"]),
    "answer for another spelling": (pod(A), passed(A.upper()), None, [A, "gave no result"]),
    "one of two without an answer": (pod(A, B), passed(A), None, [f"{BEGINNING}{B} - ", "gave no result"]),
    "two answers that agree": (pod(A), answer(OK_A, OK_A), None, [A, "several results"]),
    "two answers that disagree": (pod(A), answer(OK_A, (A, value(False))), None, [A, "several results"]),
    "an answer and an error": (pod(A), answer(OK_A, errors=[(A, "REFERENCE_INVALID")]), None, [A, "REFERENCE_INVALID"]),
    "error": (pod(A), answer(errors=[(A, "the reference cannot be parsed")]), None, [f"{BEGINNING}{A} - the reference cannot be parsed"]),
    "error null": (pod(A), answer(errors=[(A, None)]), None, [f"{BEGINNING}{A} - null"]),
    "error is an object": (pod(A), answer(errors=[(A, {"code": 7})]), None, [A, "7"]),
    "error for one of two": (pod(A, B), answer(OK_A, errors=[(B, "unparsable")]), None, [f"{BEGINNING}{B} - unparsable"]),
    "error for an image nobody asked for": (pod(A), answer(OK_A, errors=[(B, "odd")]), None, [B, "odd"]),
    "error of length 1": (pod(A), answer(OK_A, errors=[(A,)]), None, [A]),
    "error of length 3": (pod(A), answer(OK_A, errors=[(A, "x", "y")]), None, [A]),
    "error is a string": (pod(A), {**passed(A), "errors": ["boom"]}, None, ["boom"]),
    "errors are a string": (pod(A), {**passed(A), "errors": "boom"}, None, ["errors is not a list"]),
    "errors are an object": (pod(A), {**passed(A), "errors": {A: "boom"}}, None, ["errors is not a list"]),
    "system error": (pod(A), answer(system_error="registry.example: timeout"), None, [f"{BEGINNING}{A} - it could not be verified", "no verdict", "registry.example: timeout"]),
    "system error beside results": (pod(A, B), answer(OK_A, system_error="throttled"), None, [f"{BEGINNING}{B} - it could not be verified", "throttled"]),
    "system error beside all results": (pod(A), answer(OK_A, system_error="odd"), None, [BEGINNING + "Pod web - it could not be verified", "odd"]),
    "system error and a refusal": (
        pod(A, B),
        answer((A, value(False)), system_error="throttled"),
        None,
        [f"{BEGINNING}{A} - notation: signature not verified", f"{BEGINNING}{B} - it could not be verified"],
    ),
    "system error of Gatekeeper": (
        pod(A),
        {"responses": None, "errors": None, "status_code": 500, "system_error": "connection refused"},
        None,
        [A, "connection refused"],
    ),
    "system error is an object": (pod(A), answer(OK_A, system_error={"code": 1}), None, [BEGINNING + "Pod web - it could not"]),
    "system error is false": (pod(A), answer(OK_A, system_error=False), None, ["false"]),
    "system error is white space": (pod(A), answer(OK_A, system_error=" "), None, ["could not be verified"]),
    "responses null": (pod(A), answer(responses=None), None, [A, "gave no result"]),
    "responses are an object": (pod(A), answer(responses={A: value()}), None, ["responses is not a list"]),
    "responses are a string": (pod(A), answer(responses="ok"), None, ["responses is not a list"]),
    "responses as items": (pod(A), answer(responses=[{"key": A, "value": value()}]), None, [A, "no pair"]),
    "pair of length 1": (pod(A), answer(responses=[[A]]), None, [A, "no pair"]),
    "pair of length 3": (pod(A), answer(responses=[[A, value(), value(False)]]), None, [A, "no pair"]),
    "pair is empty": (pod(A), answer(responses=[[]]), None, [A, "no pair"]),
    "pair is null": (pod(A), answer(responses=[None]), None, [A, "no pair"]),
    "malformed pair beside a good one": (pod(A), answer(OK_A, responses=[list(OK_A), ["x"]]), None, ["no pair"]),
    "key is a list": (pod(A), answer(([A], value())), None, [A, "no pair"]),
    "answer null": (pod(A), None, None, [A]),
    "answer is a string": (pod(A), "ok", None, [A, "malformed"]),
    "answer is a list": (pod(A), [OK_A], None, [A]),
    "answer is empty": (pod(A), {}, None, [A, "gave no result"]),
    # the object is not what it should be
    "no image": (pod(A, initContainers=[{"name": "setup"}]), passed(A), None, ["init container setup has no image"]),
    "image empty": (pod(""), passed(""), None, ["container c0 has no image"]),
    "image of blanks": (pod(" \t"), passed(" \t"), None, ["container c0 has no image"]),
    "image null": (pod(None), answer(), None, ["container c0 has no image"]),
    "image is a number": (pod(7), answer(), None, ["container c0 has no image"]),
    "image is a list": (pod([A]), passed(A), None, ["container c0 has no image"]),
    "container is a string": (pod(A, initContainers=[A]), passed(A), None, ["init container initContainers[0] has no image"]),
    "container is null": (pod(A, ephemeralContainers=[None]), passed(A), None, ["ephemeral container ephemeralContainers[0]"]),
    "container without a name": (pod(A, initContainers=[{}]), passed(A), None, ["init container initContainers[0] has no image"]),
    "containers are an object": (review_of("Pod", {"containers": {"web": {"image": A}}}), passed(A), None, ["containers in its pod specification is not a list"]),
    "init containers are an object": (pod(A, initContainers={"i": {"image": A}}), passed(A), None, ["initContainers in its pod"]),
    "volumes are an object": (pod(A, volumes={"v": VOLUME}), passed(A, B), None, ["volumes in its pod"]),
    "volume is null": (pod(A, volumes=[None]), passed(A), None, ["volumes[0] is not an object"]),
    "volume without a reference": (pod(A, volumes=[{"name": "m", "image": {}}]), passed(A), None, ["image volume m has no image"]),
    "volume with an empty reference": (pod(A, volumes=[{"name": "m", "image": {"reference": ""}}]), passed(A), None, ["image volume m has no image"]),
    "volume image is a string": (pod(A, volumes=[{"name": "m", "image": B}]), passed(A, B), None, ["image volume m has no image"]),
    "no containers": (pod(), answer(), None, ["has no containers"]),
    "pod without a spec": (review_of("Pod", None), answer(), None, ["pod specification is not an object"]),
    "pod spec is false": (review_of("Pod", False), answer(), None, ["pod specification is not an object"]),
    "pod spec is a list": (review_of("Pod", [POD_SPEC]), passed(A), None, ["pod specification is not an object"]),
    "deployment without a template": (review_of("Deployment", {"replicas": 1}), answer(), None, ["Deployment web - there is no pod specification"]),
    "deployment with containers in the wrong place": (review_of("Deployment", POD_SPEC), passed(A), None, ["no pod specification"]),
    "cronjob without a template": (review_of("CronJob", {"jobTemplate": {}}), answer(), None, ["CronJob web - there is no pod"]),
    "a kind without images": (review_of("ConfigMap", None), answer(), None, ["ConfigMap web - there is no pod specification", "match"]),
    "an exec into a pod": ({"operation": "CONNECT", "kind": {"kind": "PodExecOptions"}, "object": {"command": ["sh"]}}, answer(), None, ["PodExecOptions"]),
    "no object": ({"operation": "CREATE", "kind": {"kind": "Pod"}}, answer(), None, ["Pod - there is no pod specification"]),
    "object null": ({"operation": "UPDATE", "kind": {"kind": "Pod"}, "object": None}, answer(), None, ["no pod specification"]),
    "no kind": ({"operation": "CREATE", "object": {"spec": {}}}, answer(), None, ["object without a kind"]),
    "no review": (None, answer(), None, ["no pod specification"]),
    "deletion in other letters": (pod(A, operation="delete"), answer((A, value(False))), None, [A]),
    # every place an image can be
    "unverified init container": (pod(A, initContainers=[{"name": "i", "image": B}]), answer(OK_A, (B, value(False))), None, [f"{BEGINNING}{B} - "]),
    "unverified ephemeral container": (pod(A, ephemeralContainers=[{"name": "e", "image": B}], operation="UPDATE"), answer(OK_A, (B, value(False))), None, [f"{BEGINNING}{B} - "]),
    "unverified image volume": (pod(A, volumes=[VOLUME]), answer(OK_A, (B, value(False))), None, [f"{BEGINNING}{B} - "]),
    "image volume without an answer": (pod(A, volumes=[VOLUME]), passed(A), None, [f"{BEGINNING}{B} - ", "gave no result"]),
    **{
        f"unverified in a {kind}": (review_of(kind, TEMPLATE), answer((A, value(False))), None, [f"{BEGINNING}{A} - "])
        for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "Rollout"]
    },
    "unverified in a CronJob": (review_of("CronJob", CRON), answer((A, value(False))), None, [f"{BEGINNING}{A} - "]),
    "unverified in a PodTemplate": (review_of("PodTemplate", None, template={"spec": POD_SPEC}), answer((A, value(False))), None, [f"{BEGINNING}{A} - "]),
    "unverified volume in a Deployment": (
        review_of("Deployment", {"template": {"spec": {**POD_SPEC, "volumes": [VOLUME]}}}),
        answer(OK_A, (B, value(False))),
        None,
        [f"{BEGINNING}{B} - "],
    ),
    # tenants
    "an image that names a tenant": (pod("[team-b]" + A), passed("[team-b]" + A), None, ["container c0", "is not an image reference"]),
    "an image that names a tenant, keys with namespaces": (pod("[team-b]" + A), passed("[team-a][team-b]" + A), {"namespacedKeys": True}, ["is not an image reference"]),
    "a namespace before an IPv6 registry": (pod("[team-b][fd00::1]/app"), passed("[team-b][fd00::1]/app"), None, ["is not an image reference"]),
    "an IPv6 address before another registry": (pod("[fd00::1]" + A), passed("[fd00::1]" + A), None, ["is not an image reference"]),
    "a bracket after white space": (pod(" [team-b]" + A), passed(" [team-b]" + A), None, ["is not an image reference"]),
    "a bracket within an image": (pod("registry.example/[team-b]app"), passed("registry.example/[team-b]app"), None, ["is not an image reference"]),
    "a bracket in a workload": (
        review_of("Deployment", {"template": {"spec": {**POD_SPEC, "initContainers": [{"name": "i", "image": "[team-b]" + A}]}}}),
        passed(A, "[team-b]" + A),
        None,
        ["init container i", "is not an image reference"],
    ),
    "a bracket in an image volume": (pod(A, volumes=[{"name": "m", "image": {"reference": "[team-b]" + B}}]), passed(A, "[team-b]" + B), None, ["image volume m", "is not an image reference"]),
    "an image of 1025 characters": (pod(A + "x" * (1025 - len(A))), passed(A + "x" * (1025 - len(A))), None, ["it has 1025 characters, and at most 1024"]),
    "an open bracket": (pod("[team-b" + A), passed("[team-b" + A), None, ["is not an image reference"]),
    "key without the namespace": (pod(A), passed(A), {"namespacedKeys": True}, [f"{BEGINNING}{A} - ", "gave no result"]),
    "key of another namespace": (pod(A), passed("[team-b]" + A), {"namespacedKeys": True}, [f"{BEGINNING}{A} - ", "gave no result"]),
    "no namespace": (pod(A, namespace=None), passed(A), {"namespacedKeys": True}, ["it has no namespace"]),
    # requirements
    "required type missing": (pod(A), passed(A), {"requiredVerifierTypes": ["sbom"]}, [A, "requires a passing verification of type sbom"]),
    "required type failed": (
        pod(A),
        answer((A, value(reports=[report(), report(False, type="sbom")]))),
        {"requiredVerifierTypes": ["notation", "sbom"]},
        [A, "type sbom"],
    ),
    "required type only nested": (
        pod(A),
        answer((A, value(reports=[report(nestedResults=[report(type="sbom")])]))),
        {"requiredVerifierTypes": ["sbom"]},
        [A, "type sbom"],
    ),
    "required type only as a name": (pod(A), answer((A, value(reports=[{"isSuccess": True, "verifierName": "notation"}]))), {"requiredVerifierTypes": ["notation"]}, ["type notation"]),
    "required type with isSuccess as a string": (pod(A), answer((A, value(reports=[report("true")]))), {"requiredVerifierTypes": ["notation"]}, ["type notation"]),
    "required type does not rescue": (pod(A), answer((A, value(False, reports=[report()]))), {"requiredVerifierTypes": ["notation"]}, [A]),
    "too few signatures": (pod(A), passed(A), {"minimumPassingSignatures": 2}, [A, "requires 2 valid signatures, and it has 1"]),
    "one signature reported twice": (pod(A), answer((A, value(reports=[report(), report()]))), {"minimumPassingSignatures": 2}, ["it has 1"]),
    "failed signatures do not count": (
        pod(A),
        answer((A, value(reports=[report(digest="sha256:1"), report(False, digest="sha256:2")]))),
        {"minimumPassingSignatures": 2},
        ["it has 1"],
    ),
    "reports without a digest do not count": (pod(A), answer((A, value(reports=[report(digest=None), report(digest=""), report(digest=5)]))), {"minimumPassingSignatures": 1}, ["it has 0"]),
    "nested signatures do not count": (pod(A), answer((A, value(reports=[report(nestedResults=[report(digest="sha256:9")])]))), {"minimumPassingSignatures": 2}, ["it has 1"]),
    "too few of a type": (
        pod(A),
        answer((A, value(reports=[report(digest="sha256:1"), report(type="other", digest="sha256:2")]))),
        {"minimumPassingSignaturesByType": {"notation": 2}},
        ["requires 2 valid signatures of type notation, and it has 1"],
    ),
    "none of a type": (pod(A), answer((A, value(verifierReports=None))), {"minimumPassingSignaturesByType": {"notation": 1}}, ["it has 0"]),
    "no reports to count": (pod(A), answer((A, {"isSuccess": True})), {"minimumPassingSignatures": 1}, ["it has 0"]),
    # parameters that cannot be read admit nothing
    "parameters are a string": (pod(A), passed(A), "none", ["parameters must be an object"]),
    "provider is empty": (pod(A), passed(A), {"provider": ""}, ["provider must be"]),
    "provider is a number": (pod(A), passed(A), {"provider": 5}, ["provider must be"]),
    "maximumImages is a string": (pod(A), passed(A), {"maximumImages": "100"}, ["maximumImages must be a number of at least 1"]),
    "maximumImages is zero": (pod(A), passed(A), {"maximumImages": 0}, ["maximumImages must be a number of at least 1"]),
    "maximumImages is negative": (pod(A), passed(A), {"maximumImages": -5}, ["maximumImages must be a number of at least 1"]),
    "maximumImages is true": (pod(A), passed(A), {"maximumImages": True}, ["maximumImages must be a number of at least 1"]),
    "maximumImages is a list": (pod(A), passed(A), {"maximumImages": [100]}, ["maximumImages must be a number of at least 1"]),
    "maximumImages is an object": (pod(A), passed(A), {"maximumImages": {}}, ["maximumImages must be a number of at least 1"]),
    "exemptImages is a string": (pod(A), passed(A), {"exemptImages": A}, ["exemptImages must be a list"]),
    "exempt entry is a number": (pod(A), passed(A), {"exemptImages": [7]}, ["exemptImages entry 7"]),
    "namespacedKeys is a string": (pod(A), passed(A), {"namespacedKeys": "true"}, ["namespacedKeys must be"]),
    "requiredVerifierTypes is a string": (pod(A), passed(A), {"requiredVerifierTypes": "notation"}, ["requiredVerifierTypes must be"]),
    "required type is null": (pod(A), passed(A), {"requiredVerifierTypes": [None]}, ["requiredVerifierTypes must be"]),
    "minimum is a string": (pod(A), passed(A), {"minimumPassingSignatures": "2"}, ["minimumPassingSignatures must be"]),
    "minimum by type is a list": (pod(A), passed(A), {"minimumPassingSignaturesByType": [2]}, ["minimumPassingSignaturesByType must"]),
    "minimum by type is a string": (pod(A), passed(A), {"minimumPassingSignaturesByType": {"notation": "2"}}, ["minimumPassingSignaturesByType must"]),
}


@pytest.mark.parametrize("name", DENIED)
def test_denied(name):
    review, response, parameters, texts = DENIED[name]
    found = messages(review, response, parameters)
    assert found, "admitted"
    together = "\n".join(found)
    for text in texts:
        assert text in together


def test_a_call_without_a_value_denies():
    found = messages(pod(A, B), answered=False)
    assert len(found) == 2
    assert all("did not answer (Provider object ratify-provider)" in message for message in found)


def test_a_verified_image_is_not_named_beside_a_refused_one():
    found = messages(pod(A, B), answer(OK_A, (B, value(False))))
    assert len(found) == 1
    assert A not in found[0]


def test_long_messages_are_cut():
    found = messages(pod(A), answer((A, value(False, reports=[report(False, message="x" * 5000)]))))
    assert len(found) == 1
    assert len(found[0]) < 1200
    assert "xxx (cut)" in found[0]


def test_each_word_of_a_report_is_said_once():
    words = report(False, message="unsigned.", errorReason="unsigned", remediation="")
    assert messages(pod(A), answer((A, value(False, reports=[words])))) == [
        f"{BEGINNING}{A} - notation: unsigned [trace 7574b5d7]"
    ]
