# Requires a valid Notary Project signature of the image, and of every artifact attached to it that a verifier has looked at
# (an SBOM, a report), at any depth: each such report must hold, in its nestedResults, a passing report of a signature.
package nested

signature_type := "application/vnd.cncf.notary.signature"

meets_requirements(value) {
	has_passing_signature(member(value, "verifierReports"))
	count(unsigned_artifacts(value)) == 0
}

has_passing_signature(reports) {
	is_array(reports)
	report := reports[_]
	report.isSuccess == true
	report.artifactType == signature_type
}

# Names of what is attached without a valid signature of its own. A report that cannot be read counts as such.
unsigned_artifacts(value) = sort([name |
	walk({"nestedResults": member(value, "verifierReports")}, [path, report])
	is_place_of_report(path)
	not is_covered(report)
	name := artifact_name(report)
]) {
	true
}

is_place_of_report(path) {
	count(path) > 1
	path[count(path) - 2] == "nestedResults"
	is_number(path[count(path) - 1])
}

# A signature needs none itself; that one of them is valid is asked of the list they are in.
is_covered(report) {
	is_object(report)
	report.artifactType == signature_type
	has_sound_nested(report)
}

is_covered(report) {
	is_object(report)
	is_filled_string(report.artifactType)
	has_passing_signature(member(report, "nestedResults"))
}

has_sound_nested(report) {
	member(report, "nestedResults") == null
}

has_sound_nested(report) {
	is_array(member(report, "nestedResults"))
}

artifact_name(report) = text {
	digest := member(report, "referenceDigest")
	is_filled_string(digest)
	type := member(report, "artifactType")
	text := sprintf("%s (%s)", [clean(digest), snippet(type)])
} else = text {
	text := snippet(member(report, "artifactType"))
}

shortcoming(value) = text {
	not has_passing_signature(member(value, "verifierReports"))
	text := "the policy requires a valid Notary Project signature of the image, and there is none. Sign the image with notation"
} else = text {
	unsigned := unsigned_artifacts(value)
	count(unsigned) > 0
	text := sprintf("the policy requires a valid Notary Project signature of every artifact attached to the image, and there is none of %s. Sign it with notation", [unsigned[0]])
} else = "the result does not satisfy the policy" {
	true
}
