"""Each value that a chart of Ratify has had since 1.0 is taken, named, or refused with what to write instead."""

import pytest
from conftest import NAMESPACE, Helm, Release, namespace, prepare
from ratify_values import ALIKE, ALL, NAMED, REFUSED, TAKEN, nested
from apiserver import ApiServer


def installed(values):
    """The objects and notes of an installation with the Job for the definitions in it, which the emulator does at once."""
    with ApiServer() as server:
        prepare(server)
        namespace(server, "kube-public")
        helm = Helm(server)
        # Made by somebody else, so that nothing random is in the objects.
        server.put({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": "ratify-tls", "namespace": NAMESPACE}, "data": {"tls.crt": "Y3J0", "tls.key": "a2V5", "ca.crt": "Y2E="}})
        release = Release(server, helm, helm.install(nested(values)))
        return release.objects, release.notes


def test_none_is_missing():
    assert set(ALL) == TAKEN.keys() | NAMED.keys() | ALIKE.keys() | REFUSED.keys()
    assert len(set(ALL)) == len(ALL) > 120


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name):
    value, needs = TAKEN[name]
    if name.startswith(("crds.", "upgradeCRDs.")):
        needs = {"upgradeCRDs.enabled": True, **needs}
    if name.startswith("provider.tls") or name == "featureFlags.RATIFY_CERT_ROTATION":
        needs = {**needs, "fullnameOverride": "other"}
    assert installed({**needs, name: value}) != installed(needs)


@pytest.mark.parametrize("name", NAMED)
def test_without_effect_and_named(name):
    value, words = NAMED[name]
    _, notes = installed({name: value})
    _, _, listed = notes.partition("These values have no effect here:")
    assert words in listed


@pytest.mark.parametrize("name", ALIKE)
def test_as_it_is_anyway(name):
    assert installed({name: ALIKE[name]})[0] == installed({})[0]


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    value, words = REFUSED[name]
    with pytest.raises(Exception, match=words):
        installed({name: value})
