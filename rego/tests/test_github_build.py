"""github-build-validation: which repository was built, of what, by which workflow, and why; on both engines."""

import json
import re

import pytest

from engine import ROOT, answer, pod, value
from matrix import ACTIONS, B, BUILD, WORKFLOW, cosign, keyless
from test_cosign_identity import by_key, several, with_certificate
from test_engines import agree

A = "registry.example/app:v1"
TEMPLATE = "github-build-validation"
APP = ["example/app"]
SHARED = "https://github.com/example/workflows/.github/workflows/build.yaml@refs/tags/v1.2"


def built(identity=WORKFLOW, issuer=ACTIONS, success=True, verified=True, without=(), **changes):
    extensions = {name: text for name, text in {**BUILD, **changes}.items() if name not in without}
    return cosign(success, extensions=keyless(identity, issuer, verified, **extensions))


def ask(parameters, *reports, success=True):
    return agree(TEMPLATE, pod(A), answer((A, value(success, reports=list(reports)))), parameters)


ADMITTED = {
    "a repository": ({"repositories": APP}, [built()]),
    "one of the repositories": ({"repositories": ["example/other", *APP]}, [built()]),
    "any of an owner": ({"repositories": ["example/*"]}, [built()]),
    "a branch": ({"repositories": APP, "refs": ["refs/heads/main"]}, [built()]),
    "a tag by its beginning": ({"repositories": APP, "refs": ["refs/tags/v*"]}, [built(sourceRepositoryRef="refs/tags/v1.2.3")]),
    "a workflow": ({"repositories": APP, "workflows": [".github/workflows/release.yaml"]}, [built()]),
    "a reusable workflow": ({"repositories": APP, "signerWorkflows": ["example/workflows/.github/workflows/build.yaml@refs/tags/v1.2"]}, [built(SHARED, buildSignerURI=SHARED)]),
    "a reusable workflow by its version": ({"repositories": APP, "signerWorkflows": ["example/workflows/.github/workflows/build.yaml@refs/tags/v1*"]}, [built(SHARED, buildSignerURI=SHARED)]),
    "a reusable workflow of any version": ({"repositories": APP, "signerWorkflows": ["example/workflows/.github/workflows/build.yaml@*"]}, [built(SHARED, buildSignerURI=SHARED)]),
    "an event": ({"repositories": APP, "buildTriggers": ["release", "push"]}, [built()]),
    "a runner": ({"repositories": APP, "runnerEnvironments": ["github-hosted"]}, [built()]),
    "numbers": ({"repositories": APP, "repositoryIdentifiers": ["1296269"], "ownerIdentifiers": ["583231"]}, [built()]),
    "another server": (
        {"repositories": APP, "server": "https://example.ghe.com", "issuer": "https://token.actions.example.ghe.com"},
        [built(issuer="https://token.actions.example.ghe.com", sourceRepositoryURI="https://example.ghe.com/example/app")],
    ),
    "beside another's": ({"repositories": APP}, [built(sourceRepositoryURI="https://github.com/other/app"), built()]),
    "the second signature of one report": ({"repositories": APP}, [several(built(sourceRepositoryURI="https://github.com/other/app"), built())]),
    "everything": (
        {
            "repositories": APP, "refs": ["refs/heads/main"], "workflows": [".github/workflows/release.yaml"],
            "signerWorkflows": ["example/app/.github/workflows/release.yaml@refs/heads/main"], "buildTriggers": ["push"],
            "runnerEnvironments": ["github-hosted"], "repositoryIdentifiers": ["1296269"], "ownerIdentifiers": ["583231"],
            "issuer": ACTIONS, "server": "https://github.com",
        },
        [built()],
    ),
}


@pytest.mark.parametrize("name", ADMITTED)
def test_admitted(name):
    parameters, reports = ADMITTED[name]
    assert ask(parameters, *reports) == []


OTHERS = "the policy allows other builds than those that signed it"
NONE = "a cosign signature that a GitHub workflow made with a certificate of Fulcio's, and there is no valid one"
DENIED = {
    "another repository": ({"repositories": ["example/other"]}, [built()], [OTHERS, f"{WORKFLOW} (sourceRepositoryURI https://github.com/example/app)"]),
    "a repository that begins so": ({"repositories": APP}, [built(sourceRepositoryURI="https://github.com/example/app-evil")], [OTHERS]),
    "a repository of another owner": ({"repositories": ["example/*"]}, [built(sourceRepositoryURI="https://github.com/example-evil/app")], [OTHERS]),
    "an owner and more": ({"repositories": ["example/*"]}, [built(sourceRepositoryURI="https://github.com/example/app/more")], [OTHERS]),
    "an owner alone": ({"repositories": ["example/*"]}, [built(sourceRepositoryURI="https://github.com/example/")], [OTHERS]),
    "in other letters": ({"repositories": ["Example/app"]}, [built()], [OTHERS]),
    "another server": ({"repositories": APP}, [built(sourceRepositoryURI="https://github.example/example/app")], [OTHERS]),
    "a signer of the repository, for another repository": (
        # A reusable workflow signs for whoever calls it: the identity says nothing of what was built.
        {"repositories": APP},
        [built(sourceRepositoryURI="https://github.com/evil/app")],
        ["sourceRepositoryURI https://github.com/evil/app"],
    ),
    "another issuer": ({"repositories": APP}, [built(issuer="https://gitlab.com")], [OTHERS, "issuer https://gitlab.com"]),
    "an issuer that begins so": ({"repositories": APP}, [built(issuer=ACTIONS + ".evil.example")], ["issuer " + ACTIONS + ".evil.example"]),
    "no repository in it": ({"repositories": APP}, [built(without=["sourceRepositoryURI"])], ["(no sourceRepositoryURI)"]),
    "a repository that is a list": ({"repositories": APP}, [built(sourceRepositoryURI=["https://github.com/example/app"])], ["no sourceRepositoryURI"]),
    "a repository that is null": ({"repositories": APP}, [built(sourceRepositoryURI=None)], ["no sourceRepositoryURI"]),
    "another branch": ({"repositories": APP, "refs": ["refs/heads/main"]}, [built(sourceRepositoryRef="refs/heads/main2")], ["sourceRepositoryRef refs/heads/main2"]),
    "a pull request": ({"repositories": APP, "refs": ["refs/heads/*", "refs/tags/*"]}, [built(sourceRepositoryRef="refs/pull/1/merge")], ["refs/pull/1/merge"]),
    "a branch called like a tag": ({"repositories": APP, "refs": ["refs/tags/v*"]}, [built(sourceRepositoryRef="refs/heads/v1")], ["refs/heads/v1"]),
    "no ref in it": ({"repositories": APP, "refs": ["refs/heads/main"]}, [built(without=["sourceRepositoryRef"])], ["no sourceRepositoryRef"]),
    "another workflow": (
        {"repositories": APP, "workflows": [".github/workflows/release.yaml"]},
        [built(buildConfigURI="https://github.com/example/app/.github/workflows/test.yaml@refs/heads/main")],
        ["buildConfigURI https://github.com/example/app/.github/workflows/test.yaml@refs/heads/main"],
    ),
    "that workflow of another repository": (
        {"repositories": APP, "workflows": [".github/workflows/release.yaml"]},
        [built(buildConfigURI="https://github.com/evil/app/.github/workflows/release.yaml@refs/heads/main")],
        ["buildConfigURI https://github.com/evil/app"],
    ),
    "a workflow that begins so": (
        {"repositories": APP, "workflows": [".github/workflows/release.yaml"]},
        [built(buildConfigURI="https://github.com/example/app/.github/workflows/release.yaml.yaml@refs/heads/main")],
        ["buildConfigURI"],
    ),
    "no workflow in it": ({"repositories": APP, "workflows": [".github/workflows/release.yaml"]}, [built(without=["buildConfigURI"])], ["no buildConfigURI"]),
    "another reusable workflow": ({"repositories": APP, "signerWorkflows": ["example/workflows/.github/workflows/build.yaml@*"]}, [built()], [f"buildSignerURI {WORKFLOW}"]),
    "a reusable workflow of another version": (
        {"repositories": APP, "signerWorkflows": ["example/workflows/.github/workflows/build.yaml@refs/tags/v1*"]},
        [built(SHARED, buildSignerURI=SHARED.replace("v1.2", "v2.0"))],
        ["buildSignerURI"],
    ),
    "the identity is no signer's extension": ({"repositories": APP, "signerWorkflows": ["example/app/.github/workflows/release.yaml@*"]}, [built(without=["buildSignerURI"])], ["no buildSignerURI"]),
    "another event": ({"repositories": APP, "buildTriggers": ["push"]}, [built(buildTrigger="pull_request_target")], ["buildTrigger pull_request_target"]),
    "no event in it": ({"repositories": APP, "buildTriggers": ["push"]}, [built(without=["buildTrigger"])], ["no buildTrigger"]),
    "another runner": ({"repositories": APP, "runnerEnvironments": ["github-hosted"]}, [built(runnerEnvironment="self-hosted")], ["runnerEnvironment self-hosted"]),
    "another repository's number": ({"repositories": APP, "repositoryIdentifiers": ["1"]}, [built()], ["sourceRepositoryIdentifier 1296269"]),
    "another owner's number": ({"repositories": APP, "ownerIdentifiers": ["1"]}, [built()], ["sourceRepositoryOwnerIdentifier 583231"]),
    "a number that is one": ({"repositories": APP, "repositoryIdentifiers": ["1296269"]}, [built(sourceRepositoryIdentifier=1296269)], ["no sourceRepositoryIdentifier"]),
    "half in each of two signatures": (
        {"repositories": APP, "refs": ["refs/heads/main"]},
        [several(built(sourceRepositoryRef="refs/heads/other"), built(sourceRepositoryURI="https://github.com/evil/app"))],
        ["refs/heads/other", "https://github.com/evil/app"],
    ),
    "the report failed": ({"repositories": APP}, [built(success=False)], [NONE]),
    "the verification failed": ({"repositories": APP}, [built(verified=False)], [NONE]),
    "signed by a key": ({"repositories": APP}, [by_key()], [NONE]),
    "no reports": ({"repositories": APP}, [], [NONE]),
    "no extensions": ({"repositories": APP}, [with_certificate(lambda whole, good: good["certificate"].pop("extensions"))], ["no sourceRepositoryURI"]),
    "extensions a text": ({"repositories": APP}, [with_certificate(lambda whole, good: good["certificate"].update(extensions="https://github.com/example/app"))], ["no sourceRepositoryURI"]),
    # parameters
    "no repositories": ({}, [built()], ["repositories must list the repositories that may have built an image"]),
    "repositories null": ({"repositories": None}, [built()], ["repositories must list"]),
    "repositories empty": ({"repositories": []}, [built()], ["repositories must be a list with at least one entry"]),
    "repositories a text": ({"repositories": "example/app"}, [built()], ["repositories must be a list"]),
    "a repository as a URL": ({"repositories": ["https://github.com/example/app"]}, [built()], ["repositories[0] is https://github.com/example/app, which is not a repository: OWNER/NAME"]),
    "any repository": ({"repositories": ["*"]}, [built()], ["repositories[0] is *"]),
    "any owner": ({"repositories": ["*/app"]}, [built()], ["repositories[0] is */app"]),
    "a prefix of a repository": ({"repositories": ["example/app*"]}, [built()], ["repositories[0] is example/app*"]),
    "a repository that is a number": ({"repositories": [*APP, 1]}, [built()], ["repositories[1] is 1"]),
    "a branch's short name": ({"repositories": APP, "refs": ["main"]}, [built()], ["refs[0] is main, which is not a ref: refs/heads/NAME"]),
    "any ref": ({"repositories": APP, "refs": ["*"]}, [built()], ["refs[0] is *"]),
    "any ref below refs": ({"repositories": APP, "refs": ["refs/*"]}, [built()], ["refs[0] is refs/*"]),
    "a star in a ref": ({"repositories": APP, "refs": ["refs/heads/*/main"]}, [built()], ["refs[0]"]),
    "no refs": ({"repositories": APP, "refs": []}, [built()], ["refs must be a list with at least one entry"]),
    "a workflow's name": ({"repositories": APP, "workflows": ["release"]}, [built()], ["workflows[0] is release, which is not a workflow"]),
    "a workflow with its ref": ({"repositories": APP, "workflows": [".github/workflows/release.yaml@refs/heads/main"]}, [built()], ["workflows[0]"]),
    "a signer without ref": ({"repositories": APP, "signerWorkflows": ["example/app/.github/workflows/release.yaml"]}, [built()], ["signerWorkflows[0]"]),
    "a signer with a star before the ref": ({"repositories": APP, "signerWorkflows": ["example/app/.github/workflows/*@refs/heads/main"]}, [built()], ["signerWorkflows[0]"]),
    "an event that is none": ({"repositories": APP, "buildTriggers": ["*"]}, [built()], ["buildTriggers[0] is *"]),
    "a number that is no text": ({"repositories": APP, "repositoryIdentifiers": [1296269]}, [built()], ["repositoryIdentifiers[0] is 1296269, which is not a number as a text"]),
    "issuer without https": ({"repositories": APP, "issuer": "token.actions.githubusercontent.com"}, [built()], ["issuer must be a URL"]),
    "issuer a list": ({"repositories": APP, "issuer": [ACTIONS]}, [built()], ["issuer must be a URL"]),
    "issuer empty": ({"repositories": APP, "issuer": ""}, [built()], ["issuer must be a URL"]),
    "server with a slash": ({"repositories": APP, "server": "https://github.com/"}, [built()], ["server must be a URL that begins with https:// and has no path"]),
    "misspelt": ({"repositories": APP, "branches": ["main"]}, [built()], ["there is no parameter branches"]),
}


@pytest.mark.parametrize("name", DENIED)
def test_denied(name):
    parameters, reports, texts = DENIED[name]
    found = ask(parameters, *reports)
    assert len(found) >= 1, "admitted"
    for text in texts:
        assert any(text in message for message in found), found


@pytest.mark.parametrize("name", ["refs", "workflows", "signerWorkflows", "buildTriggers", "runnerEnvironments", "repositoryIdentifiers", "ownerIdentifiers"])
def test_what_is_asked_for_is_never_passed_over(name):
    """With no extension but the repository, each further parameter denies."""
    parameters, reports = ADMITTED["everything"]
    extensions = {"sourceRepositoryURI": BUILD["sourceRepositoryURI"]}
    bare = cosign(extensions=keyless(WORKFLOW, ACTIONS, **extensions))
    assert ask({"repositories": APP}, bare) == []
    (found,) = ask({"repositories": APP, name: parameters[name]}, bare)
    assert re.search(r"\(no \w+\)", found), found


def test_each_image_needs_its_own():
    good, other = value(reports=[built()]), value(reports=[built(sourceRepositoryURI="https://github.com/evil/app")])
    for review in [pod(A, B), pod(A, ephemeralContainers=[{"name": "e", "image": B}])]:
        assert agree(TEMPLATE, review, answer((A, good), (B, good)), {"repositories": APP}) == []
        (found,) = agree(TEMPLATE, review, answer((A, good), (B, other)), {"repositories": APP})
        assert found.startswith(f"Subject failed verification: {B} - ")


def test_the_schema_has_the_forms_of_the_policy():
    """The API server refuses what the policy would."""
    properties = json.loads((ROOT / "rego" / TEMPLATE / "parameters.json").read_text())
    forms = dict(re.findall(r'^\t"(\w+)": \[`(.*?)`', (ROOT / "rego" / TEMPLATE / "policy.rego").read_text(), re.MULTILINE))
    assert forms and forms == {name: schema["items"]["pattern"] for name, schema in properties.items() if "items" in schema}
