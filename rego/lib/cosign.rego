# Who signed, as the cosign verifier reports it of signatures that it verified by a certificate of Fulcio's ("keyless"):
# extensions.signatures[].verifications[].certificate with identity, issuer and Fulcio's further extensions. A signature that was
# verified by a key has no certificate, and is of nobody here.
package cosign

# The certificates of an image's valid signatures. All that leads to one has to be of its type, and its members are never
# joined with another's: what is asked for has to hold of one certificate.
certificates(value) = [certificate |
	report := value.verifierReports[_]
	certificate := verified_certificates(report)[_]
] {
	true
}

verified_certificates(report) = [certificate |
	report.isSuccess == true
	report_type(report) == "cosign"
	signatures := report.extensions.signatures
	is_array(signatures)
	verifications := signatures[_].verifications
	is_array(verifications)
	verification := verifications[_]
	verification.isSuccess == true
	certificate := verification.certificate
	is_filled_string(certificate.identity)
	is_filled_string(certificate.issuer)
] {
	true
}

# One of Fulcio's extensions; undefined where the certificate has none of that name.
extension(certificate, name) = text {
	text := certificate.extensions[name]
	is_filled_string(text)
}

is_filled_list(value) {
	is_array(value)
	count(value) > 0
}
