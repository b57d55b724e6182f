"""notation-issuer-validation: who may have signed."""

import pytest

from engine import answer, messages, pod, report, value

A = "registry.example/app:v1"
CA = "CN=Example CA,O=Example,C=US"
OTHER_CA = "CN=Other CA,O=Other,C=DE"
BUILD = "CN=build,OU=Delivery,O=Example,L=Seattle,ST=WA,C=US"
RELEASE = "CN=release,OU=Delivery,O=Example,L=Seattle,ST=WA,C=US"


def signed(issuer=CA, subject=BUILD, success=True, **members):
    return report(success, **{"extensions": {"Issuer": issuer, "SN": subject}, **members})


def ask(parameters, *reports, success=True):
    return messages(pod(A), answer((A, value(success, reports=list(reports)))), parameters, template="notation-issuer-validation")


ADMITTED = {
    "Ratify's parameter": ({"issuer": CA}, [signed()]),
    "one of the issuers": ({"issuers": [OTHER_CA, CA]}, [signed()]),
    "one of the subjects": ({"subjects": [RELEASE, BUILD]}, [signed()]),
    "issuer and subject": ({"issuers": [CA], "subjects": [BUILD]}, [signed()]),
    "all parameters": ({"issuer": CA, "issuers": [CA], "subjects": [BUILD], "signers": [{"issuer": CA}]}, [signed()]),
    "an allowed signer beside another": ({"issuers": [CA]}, [signed(OTHER_CA), signed()]),
    "an allowed signer beside a failed one": ({"issuers": [CA]}, [signed(success=False), signed()]),
    "a signer by both names": ({"signers": [{"issuer": CA, "subject": BUILD}]}, [signed()]),
    "a signer by attributes": ({"signers": [{"subjectAttributes": {"O": "Example", "C": "US"}}]}, [signed()]),
    "a signer by attributes of both": (
        {"signers": [{"issuerAttributes": {"CN": "Example CA"}, "subjectAttributes": {"CN": "build", "ST": "WA"}}]},
        [signed()],
    ),
    "a second signer": ({"signers": [{"issuer": OTHER_CA}, {"subject": BUILD}]}, [signed()]),
    "every report is an allowed one's": ({"issuers": [CA], "reports": "every"}, [signed(), signed(subject=RELEASE)]),
    "every, with reports of other verifiers": (
        {"issuers": [CA], "reports": "every"},
        [signed(), report(type="sbom", artifactType="application/spdx+json")],
    ),
    "all signers": (
        {"signers": [{"subject": BUILD}, {"subject": RELEASE}], "requireAllSigners": True},
        [signed(), signed(subject=RELEASE)],
    ),
    "older member names": ({"issuer": CA}, [{"isSuccess": True, "type": "notation", "extensions": {"Issuer": CA, "SN": BUILD}}]),
}


@pytest.mark.parametrize("name", ADMITTED)
def test_admitted(name):
    parameters, reports = ADMITTED[name]
    assert ask(parameters, *reports) == []


SIGNER_NOT_ALLOWED = "the policy allows other signers than those of its valid signatures"
DENIED = {
    "another issuer": ({"issuers": [CA]}, [signed(OTHER_CA)], [SIGNER_NOT_ALLOWED, f"{BUILD}, issued by {OTHER_CA}"]),
    "another subject": ({"subjects": [RELEASE]}, [signed()], [SIGNER_NOT_ALLOWED]),
    "issuer of one signature, subject of another": (
        {"issuers": [CA], "subjects": [RELEASE]},
        [signed(), signed(OTHER_CA, RELEASE)],
        [SIGNER_NOT_ALLOWED],
    ),
    "half of a signer in each signature": (
        {"signers": [{"issuer": CA, "subject": RELEASE}]},
        [signed(), signed(OTHER_CA, RELEASE)],
        [SIGNER_NOT_ALLOWED],
    ),
    "the allowed signer's signature failed": ({"issuers": [CA]}, [signed(success=False), signed(OTHER_CA)], [SIGNER_NOT_ALLOWED]),
    "no reports": ({"issuers": [CA]}, [], [SIGNER_NOT_ALLOWED, "it has none"]),
    "only nested": ({"issuers": [CA]}, [report(type="sbom", nestedResults=[signed()])], [SIGNER_NOT_ALLOWED]),
    "of another verifier": ({"issuers": [CA]}, [signed(type="cosign", verifierType="cosign")], [SIGNER_NOT_ALLOWED]),
    "isSuccess a string": ({"issuers": [CA]}, [signed(success="true")], [SIGNER_NOT_ALLOWED]),
    "no extensions": ({"issuers": [CA]}, [report()], ["one whose report does not say who signed"]),
    "extensions null": ({"issuers": [CA]}, [report(extensions=None)], ["does not say who signed"]),
    "extensions a string": ({"issuers": [CA]}, [report(extensions=CA)], ["does not say who signed"]),
    "no subject": ({"issuers": [CA]}, [report(extensions={"Issuer": CA})], ["does not say who signed"]),
    "no issuer": ({"subjects": [BUILD]}, [report(extensions={"SN": BUILD})], ["does not say who signed"]),
    "names empty": ({"issuers": [CA]}, [signed(CA, "")], ["does not say who signed"]),
    "issuer a list": ({"issuers": [CA]}, [signed([CA])], ["does not say who signed"]),
    "issuer null": ({"issuers": [CA]}, [signed(None)], ["does not say who signed"]),
    "names outside of extensions": ({"issuers": [CA]}, [report(Issuer=CA, SN=BUILD)], ["does not say who signed"]),
    "in other letters": ({"issuers": [CA.lower()]}, [signed()], [SIGNER_NOT_ALLOWED]),
    "with a space": ({"issuers": [CA.replace(",", ", ")]}, [signed()], [SIGNER_NOT_ALLOWED]),
    "a part of it": ({"issuers": ["CN=Example CA"]}, [signed()], [SIGNER_NOT_ALLOWED]),
    "no patterns": ({"issuers": ["CN=Example*", "*"]}, [signed()], [SIGNER_NOT_ALLOWED]),
    "an attribute differs": ({"signers": [{"subjectAttributes": {"O": "Example", "C": "DE"}}]}, [signed()], [SIGNER_NOT_ALLOWED]),
    "an attribute is missing": ({"signers": [{"issuerAttributes": {"OU": "Delivery"}}]}, [signed()], [SIGNER_NOT_ALLOWED]),
    "every: another signer too": (
        {"issuers": [CA], "reports": "every"},
        [signed(), signed(OTHER_CA)],
        ["allows no other signature beside those of its signers", OTHER_CA],
    ),
    "every: a failed signature too": (
        {"issuers": [CA], "reports": "every"},
        [signed(), signed(success=False, message="it has expired")],
        ["allows no other signature", "it has expired"],
    ),
    "every: a signature without names too": ({"issuers": [CA], "reports": "every"}, [signed(), report()], ["allows no other signature"]),
    "every: a signature that another verifier judged": (
        {"issuers": [CA], "reports": "every"},
        [signed(), report(type="other", verifierType="other")],
        ["allows no other signature"],
    ),
    "every: none": ({"issuers": [CA], "reports": "every"}, [], [SIGNER_NOT_ALLOWED]),
    "all signers: one is missing": (
        {"signers": [{"subject": BUILD}, {"subject": RELEASE}], "requireAllSigners": True},
        [signed(), signed()],
        ["requires a valid signature of each of its signers", RELEASE],
    ),
    "all signers: one failed": (
        {"signers": [{"subject": BUILD}, {"subject": RELEASE}], "requireAllSigners": True},
        [signed(), signed(subject=RELEASE, success=False)],
        [RELEASE],
    ),
    "all signers: the other is not allowed": (
        {"issuers": [CA], "signers": [{"subject": BUILD}, {"subject": RELEASE}], "requireAllSigners": True},
        [signed(), signed(OTHER_CA, RELEASE)],
        [RELEASE],
    ),
    # parameters
    "nobody may sign": ({}, [signed()], ["one of issuer, issuers, subjects and signers must say who may sign"]),
    "nobody may sign, null": ({"issuers": None}, [signed()], ["must say who may sign"]),
    "only how": ({"reports": "every"}, [signed()], ["must say who may sign"]),
    "no issuers": ({"issuers": []}, [signed()], ["issuers must be a list of distinguished names"]),
    "issuers a string": ({"issuers": CA}, [signed()], ["issuers must be a list"]),
    "an empty subject": ({"subjects": [BUILD, " "]}, [signed()], ["subjects must be a list"]),
    "issuer empty": ({"issuer": ""}, [signed()], ["issuer must be"]),
    "no signers": ({"signers": []}, [signed()], ["signers must be a list"]),
    "a signer is a string": ({"signers": [CA]}, [signed()], ["signers[0] must be an object"]),
    "a signer says nothing": ({"signers": [{"issuer": CA}, {}]}, [signed()], ["signers[1] must say who it is"]),
    "a signer says null": ({"signers": [{"issuer": None}]}, [signed()], ["signers[0] must say who it is"]),
    "a signer's member misspelt": ({"signers": [{"issuer": CA, "subjcet": RELEASE}]}, [signed()], ["signers[0] has a member subjcet, which is not known"]),
    "a signer's issuer empty": ({"signers": [{"issuer": " ", "subject": BUILD}]}, [signed()], ["signers[0] has a member issuer"]),
    "attributes empty": ({"signers": [{"subjectAttributes": {}}]}, [signed()], ["signers[0] has a member subjectAttributes"]),
    "attributes a string": ({"signers": [{"subjectAttributes": "O=Example"}]}, [signed()], ["subjectAttributes"]),
    "an attribute misspelt": ({"signers": [{"subjectAttributes": {"O": "Example", "Cn": "x"}}]}, [signed()], ["subjectAttributes that does not map"]),
    "an attribute is a number": ({"signers": [{"subjectAttributes": {"O": 1}}]}, [signed()], ["subjectAttributes that does not map"]),
    "reports misspelt": ({"issuers": [CA], "reports": "all"}, [signed()], ["reports must be any or every"]),
    "requireAllSigners a string": ({"signers": [{"issuer": CA}], "requireAllSigners": "true"}, [signed()], ["requireAllSigners must be"]),
    "requireAllSigners without signers": ({"issuers": [CA], "requireAllSigners": True}, [signed()], ["requireAllSigners is about signers"]),
}


@pytest.mark.parametrize("name", DENIED)
def test_denied(name):
    parameters, reports, texts = DENIED[name]
    found = ask(parameters, *reports)
    assert len(found) >= 1, "admitted"
    for text in texts:
        assert any(text in message for message in found), found


# (name in the report, attributes, whether they agree). What Go and Countersign print for a value is what escapes it.
ATTRIBUTES = [
    ("CN=a,O=Example\\, Inc.,C=US", {"O": "Example, Inc."}, True),
    ("CN=a,O=Example\\, Inc.,C=US", {"O": "Example\\, Inc."}, False),
    ("CN=a,O=Example\\, Inc.,C=US", {"O": "Example"}, False),
    ("CN=a\\,O=Example,O=Evil,C=US", {"O": "Example"}, False),
    ("CN=a\\,O=Example,O=Evil,C=US", {"CN": "a,O=Example", "O": "Evil"}, True),
    ("CN=a\\+O=Example,O=Evil", {"O": "Example"}, False),
    ("CN=a\\\\,O=Example", {"O": "Example", "CN": "a\\"}, True),
    ("CN=a\\\\\\,O=Example", {"O": "Example"}, False),
    ("CN=a+O=Example", {"O": "Example"}, True),
    ("OU=one+OU=two,O=Example", {"OU": "one"}, False),
    ("OU=one+OU=two,O=Example", {"O": "Example"}, True),
    ("OU=one,OU=one", {"OU": "one"}, False),
    ("CN=\\#a,O=b=c", {"CN": "#a", "O": "b=c"}, True),
    ("CN=\\ a\\ ", {"CN": " a "}, True),
    ("CN=\\ a\\ ", {"CN": "a"}, False),
    ("CN=\\\"a\\\"\\<b\\>\\;", {"CN": '"a"<b>;'}, True),
    ("CN=a,1.2.3=#0c0161", {"CN": "a"}, True),
    ("CN=ä,O=日本", {"CN": "ä", "O": "日本"}, True),
    ("SERIALNUMBER=1,CN=a,POSTALCODE=2,STREET=3", {"SERIALNUMBER": "1", "POSTALCODE": "2", "STREET": "3"}, True),
    # what is no distinguished name as it is written there agrees with no attributes
    ("CN=a,O=Example,", {"O": "Example"}, False),
    ("CN=a, O=Example", {"O": "Example"}, False),
    ("CN=a;O=Example", {"O": "Example"}, False),
    ('CN="a,O=Example"', {"O": "Example"}, False),
    ("O=Example\\", {"O": "Example"}, False),
    ("Example", {"O": "Example"}, False),
    ("FOO=Example", {"O": "Example"}, False),
    ("O=example", {"O": "Example"}, False),
]


@pytest.mark.parametrize("name,attributes,agree", ATTRIBUTES)
def test_attributes(name, attributes, agree):
    by_subject = ask({"signers": [{"subjectAttributes": attributes}]}, signed(CA, name))
    by_issuer = ask({"signers": [{"issuerAttributes": attributes}]}, signed(name, BUILD))
    assert (by_subject == [], by_issuer == []) == (agree, agree), (by_subject, by_issuer)


def test_every_signer_is_named_in_the_message():
    (found,) = ask({"issuers": ["CN=x"]}, signed(), signed(OTHER_CA, RELEASE))
    assert f"{BUILD}, issued by {CA}; {RELEASE}, issued by {OTHER_CA}. Sign it with a certificate that the policy allows" in found
