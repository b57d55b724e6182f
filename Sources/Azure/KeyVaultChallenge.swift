import HTTP
import OCIRegistry
import Quotation

/// What a key vault asks for when a request has no token: which audience, of which tenant.
struct KeyVaultChallenge: Sendable {
    /// What the token has to be for.
    let scope: AzureScope

    /// Reads `WWW-Authenticate: Bearer authorization="https://login…/tenant", resource="https://vault.azure.net"`.
    ///
    /// Whoever answers in the vault's place must not choose what token it gets: the vault's host must lie below the
    /// host of the resource, as Azure's own SDKs check it. A token for Key Vault then goes to hosts of Key Vault only,
    /// in every cloud, without a list of clouds.
    ///
    /// - Parameter tenant: the identity's tenant; empty when it has none to compare.
    init(_ response: HTTPResponse, vault: HTTPURL, tenant: String) throws(AzureError) {
        func fault(_ kind: AzureError.Kind, _ detail: String) -> AzureError {
            AzureError(kind, endpoint: vault.authority, detail: detail)
        }
        let challenges = AuthenticationChallenge.parse(response.headers.all("WWW-Authenticate"))
        guard let challenge = challenges.first(where: { $0.scheme == "bearer" }) else {
            throw fault(
                .malformed, "it answers 401 without saying which token it wants; check that vaultURI is a key vault's")
        }
        var text = challenge.parameters["resource"] ?? challenge.parameters["scope"] ?? ""
        if text.hasSuffix("/.default") { text.removeLast("/.default".count) }
        guard let resource = try? HTTPURL(parsing: text), resource.scheme == .https, resource.target == "/" else {
            throw fault(
                .malformed,
                "it wants a token for \"\(response.sent.quote(text))\", which is no resource of a key vault"
            )
        }
        guard vault.host.hasSuffix("." + resource.host) else {
            throw fault(
                .refused,
                "the vault's host \(vault.host) wants a token for \(response.sent.shown(resource.host)), which is not the domain it lies in; no token was sent, check vaultURI"
            )
        }
        let wanted = challenge.parameters["authorization"] ?? challenge.parameters["authorization_uri"] ?? ""
        if let authorization = try? HTTPURL(parsing: wanted) {
            let path = authorization.target.split(separator: "/").first.map(String.init) ?? ""
            // A tenant may also be written as one of its domains, which says nothing about its id.
            guard !Self.isID(path) || !Self.isID(tenant) || path.lowercased() == tenant.lowercased() else {
                throw fault(
                    .refused,
                    "the vault belongs to tenant \(path), and the identity asks in tenant \(tenant); no token was sent, set tenantID to the vault's tenant"
                )
            }
        }
        scope = AzureScope(resource: "https://\(resource.authority)")
    }

    /// Whether a text is a GUID.
    private static func isID(_ text: String) -> Bool {
        text.utf8.count == 36 && text.utf8.count(where: { $0 == UInt8(ascii: "-") }) == 4
            && text.allSatisfy { $0.isHexDigit || $0 == "-" }
    }
}
