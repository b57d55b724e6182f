# What a result must show beyond isSuccess == true: passing reports of some verifier types, and how many signatures.
package signatures

# ---------------------------------------------------------------------------------------------------------------------
# Parameters

required_types = parameter("requiredVerifierTypes", []) {
	true
}

minimum_signatures = parameter("minimumPassingSignatures", 0) {
	true
}

minimum_signatures_by_type = parameter("minimumPassingSignaturesByType", {}) {
	true
}

parameter_problem["requiredVerifierTypes must be a list of verifier types"] {
	not is_array(required_types)
}

parameter_problem["requiredVerifierTypes must be a list of verifier types"] {
	is_array(required_types)
	entry := required_types[_]
	not is_filled_string(entry)
}

parameter_problem["minimumPassingSignatures must be a number"] {
	not is_number(minimum_signatures)
}

parameter_problem["minimumPassingSignaturesByType must map verifier types to numbers"] {
	not is_object(minimum_signatures_by_type)
}

parameter_problem["minimumPassingSignaturesByType must map verifier types to numbers"] {
	is_object(minimum_signatures_by_type)
	minimum := minimum_signatures_by_type[_]
	not is_number(minimum)
}

# ---------------------------------------------------------------------------------------------------------------------
# Requirements

meets_requirements(value) {
	count(types_without_pass(value)) == 0
	count(passing_signatures(value)) >= minimum_signatures
	count(types_below_minimum(value)) == 0
}

types_without_pass(value) = sort([t | t := required_types[_]; not has_pass_of_type(value, t)]) {
	true
}

has_pass_of_type(value, t) {
	report := value.verifierReports[_]
	report.isSuccess == true
	report_type(report) == t
}

# Signatures are told apart by the digest of their manifest: one signature reported twice counts once. Nested results are
# about artifacts attached to the image (a signature on its SBOM), not about the image, and do not count.
passing_signatures(value) = {digest |
	report := value.verifierReports[_]
	report.isSuccess == true
	digest := report.referenceDigest
	is_filled_string(digest)
} {
	true
}

passing_signatures_of_type(value, t) = {digest |
	report := value.verifierReports[_]
	report.isSuccess == true
	report_type(report) == t
	digest := report.referenceDigest
	is_filled_string(digest)
} {
	true
}

types_below_minimum(value) = sort([t |
	minimum := minimum_signatures_by_type[t]
	count(passing_signatures_of_type(value, t)) < minimum
]) {
	true
}

shortcoming(value) = text {
	missing := types_without_pass(value)
	count(missing) > 0
	text := sprintf("the policy requires a passing verification of type %s, and there is none. Attach a signature that this verifier checks", [missing[0]])
} else = text {
	found := count(passing_signatures(value))
	found < minimum_signatures
	text := sprintf("the policy requires %v valid signatures, and it has %v. Let the missing parties sign it", [minimum_signatures, found])
} else = text {
	short := types_below_minimum(value)
	count(short) > 0
	t := short[0]
	text := sprintf("the policy requires %v valid signatures of type %s, and it has %v. Let the missing parties sign it", [minimum_signatures_by_type[t], t, count(passing_signatures_of_type(value, t))])
} else = "the result does not satisfy the policy" {
	true
}
