"""What every template has to refuse, whatever it requires besides."""

import copy

from engine import answer, pod, report, review_of, value

A = "registry.example/app:v1"
B = "registry.example/side@sha256:" + "b" * 64
SIGNER = {"Issuer": "CN=Example CA,O=Example,C=US", "SN": "CN=build,O=Example,C=US"}


def keyless(identity, issuer, success=True, **extensions):
    """The extensions of a cosign verifier's report about one signature that a certificate verifies."""
    certificate = {"identity": identity, "issuer": issuer, "extensions": extensions}
    verification = {"isSuccess": success, "bundleVerified": True, "error": None, "summary": ["verified"], "certificate": certificate}
    return {"signatures": [{"signature": "sha256:" + "c" * 64, "verifications": [verification]}], "trustPolicy": "default"}


def cosign(success=True, **members):
    """A report of a verifier of type cosign."""
    own = {"type": "cosign", "name": "cosign", "verifierName": "cosign", "verifierType": "cosign", "artifactType": "application/vnd.dev.cosign.artifact.sig.v1+json"}
    return report(success, **{**own, **members})


# What GitHub's token says of a run, and Fulcio writes into the certificate.
ACTIONS = "https://token.actions.githubusercontent.com"
WORKFLOW = "https://github.com/example/app/.github/workflows/release.yaml@refs/heads/main"
BUILD = {
    "buildSignerURI": WORKFLOW,
    "buildSignerDigest": "1" * 40,
    "runnerEnvironment": "github-hosted",
    "sourceRepositoryURI": "https://github.com/example/app",
    "sourceRepositoryDigest": "1" * 40,
    "sourceRepositoryRef": "refs/heads/main",
    "sourceRepositoryIdentifier": "1296269",
    "sourceRepositoryOwnerURI": "https://github.com/example",
    "sourceRepositoryOwnerIdentifier": "583231",
    "buildConfigURI": WORKFLOW,
    "buildConfigDigest": "1" * 40,
    "buildTrigger": "push",
    "runInvocationURI": "https://github.com/example/app/actions/runs/1/attempts/1",
    "sourceRepositoryVisibilityAtSigning": "public",
}

# For each template: parameters, and a result that satisfies them.
BUILT = value(reports=[cosign(extensions=keyless(WORKFLOW, ACTIONS, **BUILD))])
GOOD = value(reports=[report(extensions=SIGNER)])
FITTING = {
    "ratifyverification": {"parameters": {}, "value": GOOD},
    "multi-tenancy-validation": {"parameters": {}, "value": GOOD},
    "notation-validation": {"parameters": {}, "value": GOOD},
    "notation-issuer-validation": {"parameters": {"issuers": [SIGNER["Issuer"]]}, "value": GOOD},
    "notation-nested-validation": {"parameters": {}, "value": GOOD},
    "verifier-validation": {"parameters": {"verifiers": [{"type": "notation"}]}, "value": GOOD},
    "cosign-identity-validation": {"parameters": {"identities": [{"certificateIdentity": WORKFLOW, "certificateOIDCIssuer": ACTIONS}]}, "value": BUILT},
    "github-build-validation": {"parameters": {"repositories": ["example/app"], "refs": ["refs/heads/main"], "buildTriggers": ["push"]}, "value": BUILT},
}


def changed(good, **members):
    """A good result with members replaced; ... leaves one out."""
    whole = copy.deepcopy(good)
    for name, content in members.items():
        if content is ...:
            whole.pop(name, None)
        else:
            whole[name] = content
    return whole


# Results that must not admit: name → function of a good result.
BAD_RESULTS = {
    "failed": lambda good: changed(good, isSuccess=False),
    "failed without timestamp and trace": lambda good: changed(good, isSuccess=False, timestamp=..., traceID=...),
    "isSuccess missing": lambda good: changed(good, isSuccess=...),
    "isSuccess null": lambda good: changed(good, isSuccess=None),
    "isSuccess a string": lambda good: changed(good, isSuccess="true"),
    "isSuccess a number": lambda good: changed(good, isSuccess=1),
    "isSuccess a list": lambda good: changed(good, isSuccess=[True]),
    "isSuccess an object": lambda good: changed(good, isSuccess={"isSuccess": True}),
    "isSuccess in other letters": lambda good: changed(good, isSuccess=..., IsSuccess=True, issuccess=True),
    "reports a string": lambda good: changed(good, verifierReports="ok"),
    "reports an object": lambda good: changed(good, verifierReports={"0": good["verifierReports"][0]}),
    "reports a number": lambda good: changed(good, verifierReports=1),
    "a report null": lambda good: changed(good, verifierReports=[*good["verifierReports"], None]),
    "a report a string": lambda good: changed(good, verifierReports=[*good["verifierReports"], "ok"]),
    "null": lambda good: None,
    "true": lambda good: True,
    "a number": lambda good: 1,
    "a string": lambda good: '{"isSuccess":true}',
    "a list": lambda good: [good],
    "empty": lambda good: {},
}

# Answers that must not admit: name → function of the key and a good result.
BAD_ANSWERS = {
    "no item": lambda key, good: answer(),
    "item for another image": lambda key, good: answer((B, good)),
    "item for another spelling": lambda key, good: answer((key.upper(), good)),
    "item for another namespace": lambda key, good: answer((f"[elsewhere]{A}", good)),
    "two items": lambda key, good: answer((key, good), (key, good)),
    "an error": lambda key, good: answer(errors=[(key, "unsigned")]),
    "an error beside a pass": lambda key, good: answer((key, good), errors=[(key, "unsigned")]),
    "an empty error": lambda key, good: answer((key, good), errors=[(key, "")]),
    "an error of no image": lambda key, good: answer((key, good), errors=["trouble"]),
    "an error of another image": lambda key, good: answer((key, good), errors=[(B, "trouble")]),
    "system error": lambda key, good: answer(system_error="429 at registry.example"),
    "system error beside a pass": lambda key, good: answer((key, good), system_error="429 at registry.example"),
    "system error that is no text": lambda key, good: answer((key, good), system_error={"code": 1}),
    "errors a string": lambda key, good: {**answer((key, good)), "errors": "none"},
    "responses a string": lambda key, good: {**answer(), "responses": "none"},
    "responses an object": lambda key, good: {**answer(), "responses": {key: good}},
    "responses null": lambda key, good: {**answer(), "responses": None},
    "an item of one": lambda key, good: {**answer((key, good)), "responses": [[key, good], [key]]},
    "an item of three": lambda key, good: {**answer(), "responses": [[key, good, good]]},
    "an item whose key is a number": lambda key, good: {**answer((key, good)), "responses": [[key, good], [7, good]]},
    "null": lambda key, good: None,
    "true": lambda key, good: True,
    "a string": lambda key, good: "ok",
    "a list": lambda key, good: [[key, good]],
    "empty": lambda key, good: {},
}

SPEC = {"containers": [{"name": "web", "image": A}]}

# Objects whose images cannot all be read: they are refused with a good answer for A and B.
BAD_OBJECTS = {
    "no object": {"operation": "CREATE", "namespace": "team-a", "kind": {"kind": "Pod"}},
    "object null": {"operation": "CREATE", "namespace": "team-a", "kind": {"kind": "Pod"}, "object": None},
    "no spec": review_of("Pod", None),
    "spec a string": review_of("Pod", "none"),
    "no containers": review_of("Pod", {}),
    "empty containers": review_of("Pod", {"containers": []}),
    "containers an object": review_of("Pod", {"containers": {"a": {"image": A}}}),
    "container without image": review_of("Pod", {"containers": [{"name": "web"}]}),
    "container null": review_of("Pod", {"containers": [None]}),
    "image null": review_of("Pod", {"containers": [{"name": "web", "image": None}]}),
    "image empty": review_of("Pod", {"containers": [{"name": "web", "image": " "}]}),
    "image a list": review_of("Pod", {"containers": [{"name": "web", "image": [A]}]}),
    "init containers a string": review_of("Pod", {**SPEC, "initContainers": "none"}),
    "init container without image": review_of("Pod", {**SPEC, "initContainers": [{"name": "i"}]}),
    "ephemeral container without image": review_of("Pod", {**SPEC, "ephemeralContainers": [{"name": "e"}]}),
    "image volume without reference": review_of("Pod", {**SPEC, "volumes": [{"name": "v", "image": {}}]}),
    "volume a string": review_of("Pod", {**SPEC, "volumes": ["v"]}),
    "deployment without a template": review_of("Deployment", {"replicas": 1}),
    "config map": review_of("ConfigMap", None),
}

# Where an unverified image B may hide beside a verified one.
HIDING_PLACES = {
    "container": pod(A, B),
    "init container": pod(A, initContainers=[{"name": "i", "image": B}]),
    "ephemeral container": pod(A, ephemeralContainers=[{"name": "e", "image": B}]),
    "image volume": pod(A, volumes=[{"name": "v", "image": {"reference": B}}]),
    "deployment": review_of("Deployment", {"template": {"spec": {**SPEC, "initContainers": [{"name": "i", "image": B}]}}}),
    "job": review_of("Job", {"template": {"spec": {"containers": [{"name": "web", "image": B}]}}}),
    "cron job": review_of("CronJob", {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": B}]}}}}}),
    "image volume of a stateful set": review_of("StatefulSet", {"template": {"spec": {**SPEC, "volumes": [{"name": "v", "image": {"reference": B}}]}}}),
}
