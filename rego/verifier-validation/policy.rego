# Requires a passing report of each verifier that the constraint lists, by name, type or artifact type, and in such a report
# passing reports about what is attached to the artifact.
package verifiers

# ---------------------------------------------------------------------------------------------------------------------
# Parameters

required_verifiers = parameter("verifiers", []) {
	true
}

criteria := {"name", "type", "artifactType"}

parameter_problem["verifiers must list the verifiers that have to pass an image"] {
	not is_filled_list(required_verifiers)
}

parameter_problem[text] {
	is_array(required_verifiers)
	entry := required_verifiers[index]
	complaints := entry_problems(entry, criteria | {"minimum", "nested"}) | nested_problems(entry)
	complaints[complaint]
	text := sprintf("verifiers[%v] %s", [index, complaint])
}

nested_problems(entry) = {"has a member nested that is not a list of verifiers"} {
	nested := member(entry, "nested")
	nested != null
	not is_filled_list(nested)
} else = {text |
	inner := entry.nested[index]
	complaints := entry_problems(inner, criteria | {"minimum"})
	complaints[complaint]
	text := sprintf("nested[%v] %s", [index, complaint])
} {
	true
}

entry_problems(entry, allowed) = {"must be an object"} {
	not is_object(entry)
} else = complaints {
	complaints := ((unknown_members(entry, allowed) | wrong_criteria(entry)) | wrong_minimum(entry)) | no_criterion(entry)
}

unknown_members(entry, allowed) = {text |
	value := entry[name]
	not allowed[name]
	text := sprintf("has a member %s, which is not known", [snippet(name)])
} {
	true
}

wrong_criteria(entry) = {text |
	criteria[name]
	value := entry[name]
	value != null
	not is_filled_string(value)
	text := sprintf("has a member %s that is not a text", [name])
} {
	true
}

wrong_minimum(entry) = {"has a minimum that is not a number of at least 1"} {
	minimum := member(entry, "minimum")
	minimum != null
	not is_positive(minimum)
} else = set() {
	true
}

no_criterion(entry) = set() {
	criteria[name]
	is_filled_string(entry[name])
} else = {"must say which verifier it is about: name, type or artifactType"} {
	true
}

# ---------------------------------------------------------------------------------------------------------------------
# Requirements

meets_requirements(value) {
	is_filled_list(required_verifiers)
	count(unmet(value)) == 0
}

unmet(value) = [entry | entry := required_verifiers[_]; not is_met(entry, member(value, "verifierReports"))] {
	true
}

is_met(entry, reports) {
	member(entry, "nested") == null
	has_enough(entry, passing(entry, reports))
}

# What is required of attached artifacts has to hold in each report that counts.
is_met(entry, reports) {
	nested := member(entry, "nested")
	is_filled_list(nested)
	complete := [report | report := passing(entry, reports)[_]; has_nested(report, nested)]
	has_enough(entry, complete)
}

has_nested(report, nested) {
	attached := member(report, "nestedResults")
	count([inner | inner := nested[_]; not has_enough(inner, passing(inner, attached))]) == 0
}

passing(entry, reports) = [report |
	is_array(reports)
	report := reports[_]
	is_object(report)
	report.isSuccess == true
	is_of(entry, report)
] {
	true
}

# Each criterion that is given has to hold.
is_of(entry, report) {
	agrees(member(entry, "name"), verifier_name(report))
	agrees(member(entry, "type"), report_type(report))
	agrees(member(entry, "artifactType"), member(report, "artifactType"))
}

agrees(wanted, found) {
	wanted == null
}

agrees(wanted, found) {
	is_filled_string(wanted)
	wanted == found
}

# One report suffices where no minimum is given. With one, signatures are told apart by the digest of their manifest: one
# that is reported twice counts once, and a report without a digest not at all.
has_enough(entry, reports) {
	member(entry, "minimum") == null
	count(reports) > 0
}

has_enough(entry, reports) {
	minimum := member(entry, "minimum")
	is_positive(minimum)
	count(digests(reports)) >= minimum
}

digests(reports) = {digest |
	digest := reports[_].referenceDigest
	is_filled_string(digest)
} {
	true
}

# `name` is the older name of `verifierName`.
verifier_name(report) = name {
	name := report.verifierName
	is_filled_string(name)
} else = name {
	name := report.name
	is_filled_string(name)
} else = "" {
	true
}

# ---------------------------------------------------------------------------------------------------------------------
# Words for a refusal

shortcoming(value) = text {
	missing := unmet(value)
	count(missing) > 0
	entry := missing[0]
	reports := member(value, "verifierReports")
	text := sprintf("the policy requires %s to pass it%s, and %s. %s", [entry_text(entry), nested_text(entry), found_text(entry, reports), other_reason(entry, reports)])
} else = "the result does not satisfy the policy" {
	true
}

entry_text(entry) = concat(" ", array.concat(["a verifier"], described)) {
	described := [text |
		name := ["name", "type", "artifactType"][_]
		value := member(entry, name)
		is_filled_string(value)
		text := sprintf("%s %s", [criterion_words[name], clean(value)])
	]
}

criterion_words := {"name": "named", "type": "of type", "artifactType": "of artifacts"}

nested_text(entry) = text {
	is_filled_list(member(entry, "nested"))
	text := sprintf(" with %s for what is attached", [concat(", ", [entry_text(inner) | inner := entry.nested[_]])])
} else = "" {
	true
}

found_text(entry, reports) = text {
	count(passing(entry, reports)) == 0
	text := "none did"
} else = text {
	minimum := member(entry, "minimum")
	is_number(minimum)
	count(digests(passing(entry, reports))) < minimum
	text := sprintf("that for %v different signatures: it has %v", [minimum, count(digests(passing(entry, reports)))])
} else = "what is attached did not pass" {
	true
}

# A report of that verifier that failed tells more than that there is none.
other_reason(entry, reports) = text {
	failed := [report | report := reports[_]; is_object(report); not report.isSuccess == true; is_of(entry, report)]
	count(failed) > 0
	text := report_text(failed[0])
} else = "Attach a signature that this verifier checks" {
	true
}

is_filled_list(value) {
	is_array(value)
	count(value) > 0
}
