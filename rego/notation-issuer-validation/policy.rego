# Requires a valid Notary Project signature by a signer that the constraint allows: by issuer, by subject, or by both.
#
# Who signed is what the report of the notation verifier says in extensions.Issuer and extensions.SN: the distinguished names of
# the signing certificate's issuer and subject, as RFC 2253 writes them. A report without them is of no signer at all.
package issuers

# ---------------------------------------------------------------------------------------------------------------------
# Parameters

# The only parameter that Ratify's template of this name has.
issuer = parameter("issuer", null) {
	true
}

issuers = parameter("issuers", null) {
	true
}

subjects = parameter("subjects", null) {
	true
}

signers = parameter("signers", null) {
	true
}

require_all_signers = parameter("requireAllSigners", false) {
	true
}

reports_that_count = parameter("reports", "any") {
	true
}

parameter_problem["one of issuer, issuers, subjects and signers must say who may sign"] {
	count([1 | name := ["issuer", "issuers", "subjects", "signers"][_]; parameter(name, null) != null]) == 0
}

parameter_problem["issuer must be a distinguished name"] {
	issuer != null
	not is_filled_string(issuer)
}

parameter_problem[text] {
	name := ["issuers", "subjects"][_]
	names := parameter(name, null)
	names != null
	not is_list_of_names(names)
	text := sprintf("%s must be a list of distinguished names", [name])
}

parameter_problem["signers must be a list of signers"] {
	signers != null
	not is_filled_list(signers)
}

parameter_problem[text] {
	is_array(signers)
	entry := signers[index]
	complaints := signer_problems(entry)
	complaints[complaint]
	text := sprintf("signers[%v] %s", [index, complaint])
}

parameter_problem["requireAllSigners must be true or false"] {
	not is_boolean(require_all_signers)
}

parameter_problem["requireAllSigners is about signers, and there are none"] {
	require_all_signers == true
	signers == null
}

parameter_problem["reports must be any or every"] {
	not reports_values[reports_that_count]
}

reports_values := {"any", "every"}

is_list_of_names(names) {
	is_filled_list(names)
	count([name | name := names[_]; not is_filled_string(name)]) == 0
}

is_filled_list(value) {
	is_array(value)
	count(value) > 0
}

signer_members := {"issuer", "subject", "issuerAttributes", "subjectAttributes"}

signer_problems(entry) = {"must be an object"} {
	not is_object(entry)
} else = complaints {
	complaints := ((unknown_members(entry) | wrong_names(entry)) | wrong_attributes(entry)) | empty_signer(entry)
}

unknown_members(entry) = {text |
	value := entry[name]
	not signer_members[name]
	text := sprintf("has a member %s, which is not known", [snippet(name)])
} {
	true
}

wrong_names(entry) = {text |
	name := ["issuer", "subject"][_]
	value := member(entry, name)
	value != null
	not is_filled_string(value)
	text := sprintf("has a member %s that is not a distinguished name", [name])
} {
	true
}

wrong_attributes(entry) = {text |
	name := ["issuerAttributes", "subjectAttributes"][_]
	value := member(entry, name)
	value != null
	not is_attributes(value)
	text := sprintf("has a member %s that does not map %s to texts", [name, concat(", ", sort([type | attribute_types[type]]))])
} {
	true
}

empty_signer(entry) = set() {
	signer_members[name]
	member(entry, name) != null
} else = {"must say who it is: issuer, subject, issuerAttributes or subjectAttributes"} {
	true
}

# The attributes that have a name in a distinguished name's text; all others are written there as numbers and hexadecimal.
attribute_types := {"SERIALNUMBER", "CN", "OU", "O", "POSTALCODE", "STREET", "L", "ST", "C"}

is_attributes(value) {
	is_object(value)
	count(value) > 0
	count([type | text := value[type]; not is_attribute(type, text)]) == 0
}

is_attribute(type, text) {
	attribute_types[type]
	is_filled_string(text)
}

# ---------------------------------------------------------------------------------------------------------------------
# Requirements

meets_requirements(value) {
	has_rule
	count(allowed_reports(value)) > 0
	has_no_other_report(value)
	count(absent_signers(value)) == 0
}

# Some rule says who may sign. Parameters without one are refused already; this is the rule that admits, and relies on nothing.
has_rule {
	parameter(["issuer", "issuers", "subjects", "signers"][_], null) != null
}

# With `every`, whatever is said about a Notary Project signature of the image has to be a pass of an allowed signer.
has_no_other_report(value) {
	reports_that_count == "any"
}

has_no_other_report(value) {
	reports_that_count == "every"
	count(other_reports(value)) == 0
}

allowed_reports(value) = [report | report := value.verifierReports[_]; is_allowed(report)] {
	true
}

other_reports(value) = [report | report := value.verifierReports[_]; is_about_signature(report); not is_allowed(report)] {
	true
}

is_about_signature(report) {
	report_type(report) == "notation"
}

is_about_signature(report) {
	report.artifactType == "application/vnd.cncf.notary.signature"
}

absent_signers(value) = [entry | require_all_signers == true; entry := signers[_]; not has_signed(value, entry)] {
	true
}

has_signed(value, entry) {
	report := value.verifierReports[_]
	is_allowed(report)
	is_signer(names_in(report), entry)
}

# A passing report of a Notation verifier, with names that satisfy each parameter that is given.
is_allowed(report) {
	is_object(report)
	report.isSuccess == true
	report_type(report) == "notation"
	names := names_in(report)
	satisfies_issuer(names)
	satisfies_issuers(names)
	satisfies_subjects(names)
	satisfies_signers(names)
}

# Undefined for a report that does not say who signed.
names_in(report) = {"issuer": by, "subject": signer} {
	by := report.extensions.Issuer
	signer := report.extensions.SN
	is_filled_string(by)
	is_filled_string(signer)
}

satisfies_issuer(names) {
	issuer == null
}

satisfies_issuer(names) {
	is_filled_string(issuer)
	names.issuer == issuer
}

satisfies_issuers(names) {
	issuers == null
}

satisfies_issuers(names) {
	is_array(issuers)
	names.issuer == issuers[_]
}

satisfies_subjects(names) {
	subjects == null
}

satisfies_subjects(names) {
	is_array(subjects)
	names.subject == subjects[_]
}

satisfies_signers(names) {
	signers == null
}

satisfies_signers(names) {
	is_array(signers)
	is_signer(names, signers[_])
}

# All that an entry says has to hold of the one certificate.
is_signer(names, entry) {
	is_object(entry)
	agrees(names.issuer, member(entry, "issuer"))
	agrees(names.subject, member(entry, "subject"))
	has_attributes(names.issuer, member(entry, "issuerAttributes"))
	has_attributes(names.subject, member(entry, "subjectAttributes"))
}

agrees(name, wanted) {
	wanted == null
}

agrees(name, wanted) {
	is_filled_string(wanted)
	name == wanted
}

has_attributes(name, wanted) {
	wanted == null
}

has_attributes(name, wanted) {
	is_attributes(wanted)
	is_distinguished_name(name)
	found := regex.find_n(`[A-Za-z0-9.]+=([^,+"\\<>;]|\\.)*`, name, -1)
	count([type | value := wanted[type]; not is_the_only(type, value, found)]) == 0
}

# The whole text has to be a list of attributes; only then do the parts that the expression above finds mean what they say.
is_distinguished_name(name) {
	regex.match(`^[A-Za-z0-9.]+=([^,+"\\<>;]|\\.)*([,+][A-Za-z0-9.]+=([^,+"\\<>;]|\\.)*)*$`, name)
}

# An attribute that a name has several times says too little about whom it names.
is_the_only(type, value, attributes) {
	prefix := concat("", [type, "="])
	of_type := [attribute | attribute := attributes[_]; startswith(attribute, prefix)]
	count(of_type) == 1
	of_type[0] == concat("", [prefix, escaped(value)])
}

# A value as it is written within a distinguished name.
escaped(value) = text {
	inner := with_escaped_signs(value)
	text := with_escaped_end(with_escaped_start(inner), value)
}

with_escaped_signs(value) = replace(replace(replace(replace(replace(replace(replace(value, `\`, `\\`), ",", `\,`), "+", `\+`), `"`, `\"`), "<", `\<`), ">", `\>`), ";", `\;`) {
	true
}

with_escaped_start(text) = escaped_text {
	startswith(text, " ")
	escaped_text := concat("", [`\`, text])
} else = escaped_text {
	startswith(text, "#")
	escaped_text := concat("", [`\`, text])
} else = text {
	true
}

with_escaped_end(text, value) = escaped_text {
	endswith(text, " ")
	count(value) > 1
	escaped_text := concat("", [substring(text, 0, count(text) - 1), `\ `])
} else = text {
	true
}

# ---------------------------------------------------------------------------------------------------------------------
# Words for a refusal

shortcoming(value) = text {
	count(allowed_reports(value)) == 0
	passed := [report | report := value.verifierReports[_]; report.isSuccess == true; report_type(report) == "notation"]
	text := sprintf("the policy allows other signers than those of its valid signatures: %s. Sign it with a certificate that the policy allows", [signers_text(passed)])
} else = text {
	others := other_reports(value)
	reports_that_count == "every"
	count(others) > 0
	text := sprintf("the policy allows no other signature beside those of its signers: %s. Remove it, or allow its signer in the constraint", [other_text(others[0])])
} else = text {
	absent := absent_signers(value)
	count(absent) > 0
	text := sprintf("the policy requires a valid signature of each of its signers, and there is none of %s. Let that party sign it", [snippet(absent[0])])
} else = "the result does not satisfy the policy" {
	true
}

signers_text(reports) = "it has none" {
	count(reports) == 0
} else = text {
	text := concat("; ", sort([signer_text(report) | report := reports[_]]))
}

signer_text(report) = text {
	names := names_in(report)
	text := sprintf("%s, issued by %s", [clean(names.subject), clean(names.issuer)])
} else = "one whose report does not say who signed" {
	true
}

other_text(report) = text {
	report.isSuccess == true
	text := signer_text(report)
} else = text {
	text := report_text(report)
}
