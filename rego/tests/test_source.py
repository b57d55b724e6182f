"""The source itself: what older engines accept, and that the template carries it unchanged."""

import re

from engine import SOURCE, template_rego

# Built-in functions the policy may call: all are in OPA since 0.30 or longer, and no Gatekeeper disables them.
BUILTINS = {
    "array.concat", "concat", "count", "endswith", "external_data", "is_array", "is_boolean", "is_number", "is_object",
    "is_string", "json.marshal", "regex.match", "replace", "set", "sort", "sprintf", "startswith", "substring", "trim", "trim_suffix",
}


def code():
    """The source without comments and string literals."""
    text = SOURCE.read_text()
    text = re.sub(r"`[^`]*`", '""', text)
    text = re.sub(r'"(\\.|[^"\\])*"', '""', text)
    return re.sub(r"#.*", "", text)


def test_the_template_carries_the_source_byte_for_byte():
    assert template_rego().encode() == SOURCE.read_bytes()


def test_no_future_keywords():
    text = code()
    assert not re.search(r"\bimport\b", text)
    assert not re.search(r"\b(if|contains|every|in)\b", text)


def test_no_data_and_no_http():
    text = code()
    assert not re.search(r"\bdata\b", text)
    assert not re.search(r"\bhttp\.", text)


def test_only_long_standing_builtins():
    text = code()
    defined = set(re.findall(r"^([a-z_]+)\(", text, re.MULTILINE))
    called = set(re.findall(r"([a-z_]+(?:\.[a-z_]+)*)\(", text))
    assert called - defined <= BUILTINS


def test_one_call_of_the_provider():
    assert code().count("external_data(") == 1


def test_no_duplicate_defaults():
    assert not re.search(r"^default ", code(), re.MULTILINE)
