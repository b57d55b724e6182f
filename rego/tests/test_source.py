"""The sources themselves: what older engines accept, and that the templates are made of nothing else."""

import json
import re

import pytest

from engine import ROOT, TEMPLATES, document, template_rego

# Built-in functions the policies may call: all are in OPA since 0.30 or longer, and no Gatekeeper disables them.
BUILTINS = {
    "array.concat", "concat", "count", "endswith", "external_data", "indexof", "is_array", "is_boolean", "is_number", "is_object",
    "is_string", "json.marshal", "lower", "regex.find_n", "regex.is_valid", "regex.match", "replace", "set", "sort", "sprintf", "startswith", "substring",
    "sum", "trim", "trim_left", "trim_prefix", "trim_suffix", "walk",
}

pytestmark = pytest.mark.parametrize("template", TEMPLATES)


def code(template):
    """A template's Rego without comments and string literals."""
    text = re.sub(r"`[^`]*`", '""', template_rego(template))
    text = re.sub(r'"(\\.|[^"\\])*"', '""', text)
    return re.sub(r"#.*", "", text)


def test_the_template_carries_its_parts_unchanged(template):
    rego = template_rego(template)
    parts = [ROOT / "rego" / "lib" / f"{part}.rego" for part in TEMPLATES[template]["parts"]]
    own = ROOT / "rego" / template / "policy.rego"
    for file in [*parts, *[own] * own.is_file()]:
        for half in re.split(r"^package .*\n", file.read_text(), maxsplit=1, flags=re.MULTILINE):
            assert half.strip("\n") in rego
    assert len(re.findall(r"^package ", rego, re.MULTILINE)) == 1


def test_one_part_alone_says_what_is_required(template):
    assert len({m for m in re.findall(r"^(meets_requirements\(value\)) \{", template_rego(template), re.MULTILINE)}) == 1
    assert len(re.findall(r"^(?:is_accepted\(|verified = )", template_rego(template), re.MULTILINE)) == 2


def test_no_future_keywords(template):
    assert not re.search(r"\bimport\b", code(template))
    assert not re.search(r"\b(if|contains|every|in)\b", code(template))


def test_no_data_and_no_http(template):
    assert not re.search(r"\bdata\b", code(template))
    assert not re.search(r"\bhttp\.", code(template))


def test_only_long_standing_builtins(template):
    defined = set(re.findall(r"^([a-z_0-9]+)\(", code(template), re.MULTILINE))
    called = set(re.findall(r"([a-z_0-9]+(?:\.[a-z_0-9]+)*)\(", code(template)))
    assert called - defined <= BUILTINS


def test_one_call_of_the_provider(template):
    assert code(template).count("external_data(") == 1


def test_no_duplicate_defaults(template):
    assert not re.search(r"^default ", code(template), re.MULTILINE)


def test_names(template):
    found = document(template)
    assert found["metadata"]["name"] == found["spec"]["crd"]["spec"]["names"]["kind"].lower()


def test_unknown_parameters_reach_the_policy(template):
    schema = document(template)["spec"]["crd"]["spec"]["validation"]["openAPIV3Schema"]
    assert schema["x-kubernetes-preserve-unknown-fields"] is True
    known = json.loads("[" + re.search(r"^known_parameters := \{(.*)\}$", template_rego(template), re.MULTILINE)[1] + "]")
    assert sorted(schema["properties"]) == known

    def check(node):
        """Structural, and no list or object whose members the API server would drop silently."""
        assert node["type"] in {"object", "array", "string", "integer", "boolean"}
        if node["type"] == "object":
            assert "additionalProperties" in node or node.get("x-kubernetes-preserve-unknown-fields") is True
            assert not ("additionalProperties" in node and "properties" in node)
        for child in [*node.get("properties", {}).values(), node.get("items"), node.get("additionalProperties")]:
            if child is not None:
                check(child)

    check(schema)


def test_no_comparison_of_a_call_within_not(template):
    """Open Policy Agent calls before it negates: where the call has no value, the whole body has none, instead of being true."""
    assert not re.search(r"\bnot [a-z_.]+\((?:[^()]|\([^()]*\))*\) *(==|!=|<|>)", code(template))
