# Requires that a verifier of type notation has passed one signature, whatever other verifiers say about the image.
package notation

meets_requirements(value) {
	report := value.verifierReports[_]
	report.isSuccess == true
	report_type(report) == "notation"
}

shortcoming(value) = "the policy requires a valid Notary Project signature, and there is none. Sign the image with notation" {
	true
}
