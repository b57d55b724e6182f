import ArgumentParser
import Expressions
import Quotation
import Sigstore

/// Who must have signed with a certificate, as cosign's options say it.
struct IdentityOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Who must have signed: a URI or an e-mail address, exactly.", valueName: "id"))
    var certificateIdentity: String?

    @Option(
        help: ArgumentHelp("The same as an expression, which must match the whole identity.", valueName: "expression"))
    var certificateIdentityRegexp: String?

    @Option(help: ArgumentHelp("Who must have vouched for the identity: an OpenID Connect issuer.", valueName: "url"))
    var certificateOidcIssuer: String?

    @Option(
        help: ArgumentHelp("The same as an expression, which must match the whole issuer.", valueName: "expression"))
    var certificateOidcIssuerRegexp: String?

    private var hasName: Bool { certificateIdentity != nil || certificateIdentityRegexp != nil }
    private var hasIssuer: Bool { certificateOidcIssuer != nil || certificateOidcIssuerRegexp != nil }

    /// Whether an option is given.
    var isGiven: Bool { hasName || hasIssuer }
    /// Whether they say who and by whom.
    var isComplete: Bool { hasName && hasIssuer }

    func validate() throws {
        guard certificateIdentity == nil || certificateIdentityRegexp == nil,
            certificateOidcIssuer == nil || certificateOidcIssuerRegexp == nil
        else { throw ValidationError("give an identity, or an issuer, exactly or as an expression, not both") }
    }

    /// The identity; what is dangerous about it is said on standard error.
    ///
    /// - Parameter extensions: what must be in the certificate beside it.
    func identity(with extensions: [FulcioExtension: TextMatch] = [:]) throws -> CertificateIdentity {
        let identity = CertificateIdentity(
            name: try match(certificateIdentity, certificateIdentityRegexp, "--certificate-identity-regexp"),
            issuer: try match(certificateOidcIssuer, certificateOidcIssuerRegexp, "--certificate-oidc-issuer-regexp"),
            extensions: extensions)
        for warning in identity.warnings { Terminal.complain("warning: \(warning)") }
        return identity
    }

    private func match(_ exactly: String?, _ expression: String?, _ option: String) throws -> TextMatch {
        guard let expression else { return .exactly(exactly ?? "") }
        do { return .matching(try WholeExpression(expression)) } catch {
            throw CommandFailure(.usage, "\(option) \"\(expression.quoted)\": \(error)")
        }
    }
}
