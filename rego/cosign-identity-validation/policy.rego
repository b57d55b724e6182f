# Requires a valid cosign signature by an identity that the constraint allows: who signed, and who vouched for that name.
package identities

# ---------------------------------------------------------------------------------------------------------------------
# Parameters

identities = parameter("identities", null) {
	true
}

require_all_identities = parameter("requireAllIdentities", false) {
	true
}

parameter_problem["identities must list who may sign"] {
	not is_filled_list(identities)
}

parameter_problem[text] {
	is_array(identities)
	entry := identities[index]
	complaints := identity_problems(entry)
	complaints[complaint]
	text := sprintf("identities[%v] %s", [index, complaint])
}

parameter_problem["requireAllIdentities must be true or false"] {
	not is_boolean(require_all_identities)
}

# What is compared → the member that has it whole, and the one that has an expression for it.
compared := {
	"identity": ["certificateIdentity", "certificateIdentityRegExp"],
	"issuer": ["certificateOIDCIssuer", "certificateOIDCIssuerRegExp"],
}

identity_members := {"certificateIdentity", "certificateIdentityRegExp", "certificateOIDCIssuer", "certificateOIDCIssuerRegExp", "extensions"}

# Fulcio's extensions by the names that its documentation has for them.
extension_names := {
	"githubWorkflowTrigger", "githubWorkflowSHA", "githubWorkflowName", "githubWorkflowRepository", "githubWorkflowRef",
	"buildSignerURI", "buildSignerDigest", "runnerEnvironment", "sourceRepositoryURI", "sourceRepositoryDigest",
	"sourceRepositoryRef", "sourceRepositoryIdentifier", "sourceRepositoryOwnerURI", "sourceRepositoryOwnerIdentifier",
	"buildConfigURI", "buildConfigDigest", "buildTrigger", "runInvocationURI", "sourceRepositoryVisibilityAtSigning",
	"deploymentEnvironment",
}

identity_problems(entry) = {"must be an object"} {
	not is_object(entry)
} else = complaints {
	complaints := ((unknown_members(entry) | wrong_texts(entry)) | wrong_choices(entry)) | (wrong_expressions(entry) | wrong_extensions(entry))
}

unknown_members(entry) = {text |
	value := entry[name]
	not identity_members[name]
	text := sprintf("has a member %s, which is not known", [snippet(name)])
} {
	true
}

wrong_texts(entry) = {text |
	name := compared[_][_]
	value := member(entry, name)
	value != null
	not is_filled_string(value)
	text := sprintf("has a member %s that is not a text", [name])
} {
	true
}

# Without an issuer a name says nothing: each issuer gives out names of its own.
wrong_choices(entry) = {text |
	pair := compared[_]
	count([1 | member(entry, pair[_]) != null]) != 1
	text := sprintf("must have either %s or %s", [pair[0], pair[1]])
} {
	true
}

wrong_expressions(entry) = {text |
	name := compared[_][1]
	expression := member(entry, name)
	is_filled_string(expression)
	complaint := expression_problem(expression)
	text := sprintf("has a member %s that %s", [name, complaint])
} {
	true
}

expression_problem(expression) = "is not an expression" {
	not regex.is_valid(expression)
} else = "anybody agrees with: say who may sign" {
	matches_whole(expression, ["", "x"][_])
}

wrong_extensions(entry) = {"has a member extensions that does not map names of extensions to texts"} {
	extensions := member(entry, "extensions")
	extensions != null
	not is_map_of_texts(extensions)
} else = {text |
	value := entry.extensions[name]
	complaint := extension_problem(name, value, entry.extensions)
	text := sprintf("has an extension %s, which %s", [snippet(name), complaint])
} {
	true
}

extension_problem(name, value, extensions) = "is none of Fulcio's" {
	not extension_names[trim_suffix(name, "RegExp")]
} else = "is there as a whole value and as an expression: keep one" {
	name != trim_suffix(name, "RegExp")
	member(extensions, trim_suffix(name, "RegExp")) != null
} else = text {
	name != trim_suffix(name, "RegExp")
	text := expression_problem(value)
}

is_map_of_texts(value) {
	is_object(value)
	count(value) > 0
	count([name | text := value[name]; not is_filled_string(text)]) == 0
}

# ---------------------------------------------------------------------------------------------------------------------
# Requirements

meets_requirements(value) {
	is_filled_list(identities)
	count([1 | certificate := certificates(value)[_]; is_allowed(certificate)]) > 0
	count(absent_identities(value)) == 0
}

is_allowed(certificate) {
	is_of(certificate, identities[_])
}

absent_identities(value) = [entry | require_all_identities == true; entry := identities[_]; not has_signed(value, entry)] {
	true
}

has_signed(value, entry) {
	is_of(certificates(value)[_], entry)
}

# All that an entry says has to hold of the one certificate, and it has to say who and by whom.
is_of(certificate, entry) {
	is_object(entry)
	agrees(certificate.identity, entry, compared.identity)
	agrees(certificate.issuer, entry, compared.issuer)
	has_extensions(certificate, member(entry, "extensions"))
}

agrees(text, entry, names) {
	wanted := entry[names[0]]
	is_filled_string(wanted)
	member(entry, names[1]) == null
	text == wanted
}

agrees(text, entry, names) {
	expression := entry[names[1]]
	is_filled_string(expression)
	member(entry, names[0]) == null
	regex.is_valid(expression)
	matches_whole(expression, text)
}

# An expression that is valid by itself cannot leave the brackets.
matches_whole(expression, text) {
	regex.match(concat("", [`\A(?:`, expression, `)\z`]), text)
}

has_extensions(certificate, wanted) {
	wanted == null
}

has_extensions(certificate, wanted) {
	is_map_of_texts(wanted)
	count([name | text := wanted[name]; not has_extension(certificate, name, text)]) == 0
}

# A rule of its own: Open Policy Agent evaluates a call within `not` before the `not`, and an extension that is missing would
# end the search for what is missing.
has_extension(certificate, name, text) {
	extension(certificate, name) == text
}

has_extension(certificate, name, expression) {
	whole := trim_suffix(name, "RegExp")
	whole != name
	regex.is_valid(expression)
	matches_whole(expression, extension(certificate, whole))
}

# ---------------------------------------------------------------------------------------------------------------------
# Words for a refusal

shortcoming(value) = text {
	found := certificates(value)
	count([1 | certificate := found[_]; is_allowed(certificate)]) == 0
	text := sprintf("the policy allows other identities than those of its valid cosign signatures: %s. Sign it as an identity that the policy allows", [signers_text(found)])
} else = text {
	absent := absent_identities(value)
	count(absent) > 0
	text := sprintf("the policy requires a valid cosign signature of each of its identities, and there is none of %s. Let that party sign it", [snippet(absent[0])])
} else = "the result does not satisfy the policy" {
	true
}

signers_text(found) = "it has none that was verified by a certificate" {
	count(found) == 0
} else = text {
	text := concat("; ", sort([signer_text(certificate) | certificate := found[_]]))
}

signer_text(certificate) = text {
	text := sprintf("%s, by %s%s", [clean(certificate.identity), clean(certificate.issuer), extensions_text(certificate)])
}

extensions_text(certificate) = text {
	asked := {name | text := identities[_].extensions[member_name]; name := trim_suffix(member_name, "RegExp"); extension_names[name]}
	shown := sort([sprintf("%s %s", [name, clean(extension(certificate, name))]) | asked[name]])
	count(shown) > 0
	text := sprintf(" (%s)", [concat(", ", shown)])
} else = "" {
	true
}
