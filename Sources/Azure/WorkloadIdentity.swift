import FoundationEssentials
import HTTP

/// Microsoft Entra Workload ID: a token of the pod's Kubernetes service account proves the identity (OAuth 2 client
/// credentials with a client assertion, RFC 7523, section 2.2).
package struct WorkloadIdentity: AzureTokenSource {
    /// Who asks.
    package let identity: AzureIdentity
    private let tokenFile: String
    private let authority: HTTPURL
    private let http: any HTTPSending

    /// An identity as the workload identity webhook sets it up: `AZURE_CLIENT_ID`, `AZURE_TENANT_ID`,
    /// `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_AUTHORITY_HOST`.
    ///
    /// - Parameters:
    ///   - clientID: takes the place of `AZURE_CLIENT_ID`.
    ///   - tenantID: takes the place of `AZURE_TENANT_ID`.
    package init(
        clientID: String? = nil, tenantID: String? = nil, environment: [String: String], http: any HTTPSending
    ) throws(AzureError) {
        let client = try AzureSetting.value(
            clientID, "clientID", environment, "AZURE_CLIENT_ID", for: "workload identity")
        let tenant = try AzureSetting.tenant(tenantID, environment, for: "workload identity")
        tokenFile = try AzureSetting.value(
            nil, nil, environment, "AZURE_FEDERATED_TOKEN_FILE", for: "workload identity")
        let text = environment["AZURE_AUTHORITY_HOST"].flatMap { $0.isEmpty ? nil : $0 } ?? AzureCloud.public.authority
        authority = try AzureSetting.url(text, "AZURE_AUTHORITY_HOST")
        // The assertion is as good as a password.
        guard authority.scheme == .https else {
            throw AzureError(.configuration, detail: "AZURE_AUTHORITY_HOST must be an https URL")
        }
        identity = AzureIdentity(
            kind: .workloadIdentity, authority: authority.text, tenant: tenant, client: client)
        self.http = http
    }

    /// Asks the token endpoint with the service account's token as it is in its file now: kubelet renews it.
    package func fetch(
        _ scope: AzureScope, deadline: ContinuousClock.Instant, note: @escaping @Sendable (AzureError) -> Void
    ) async throws(AzureError) -> AzureToken {
        let assertion = try assertion()
        let purpose = "getting a token for \(identity)"
        let call = AzureCall(http: http, endpoint: authority.authority, purpose: purpose)
        let asked = ContinuousClock.now
        let base = authority.text.hasSuffix("/") ? authority.text : authority.text + "/"
        let response = try await call.send(
            .post, "\(base)\(identity.tenant)/oauth2/v2.0/token", headers: [:],
            form: [
                ("grant_type", "client_credentials"), ("client_id", identity.client), ("scope", scope.description),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion),
            ], deadline: deadline, note: note)
        guard response.status == 200 else {
            let complaint = AzureComplaint(response, without: [assertion])
            throw AzureError(
                .refused, endpoint: authority.authority,
                detail:
                    "\(purpose) in tenant \(identity.tenant): Microsoft Entra ID refuses (\(response.status))\(complaint.suffix); check the client id, the tenant and the federated credential of this identity",
                code: complaint.code)
        }
        return try AzureToken.read(
            response, asked: asked, now: Date(), endpoint: authority.authority, purpose: purpose)
    }

    private func assertion() throws(AzureError) -> String {
        func fault(_ problem: String) -> AzureError {
            AzureError(
                .assertion,
                detail:
                    "the federated token of \(identity) cannot be used: \(tokenFile) \(problem); check AZURE_FEDERATED_TOKEN_FILE, and that the pod has the label azure.workload.identity/use: \"true\""
            )
        }
        guard let data = try? Data(contentsOf: URL(filePath: tokenFile)) else { throw fault("cannot be read") }
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
        var bytes = Array(data)[...]
        while let last = bytes.last, isSpace(last) { bytes = bytes.dropLast() }
        bytes = bytes.drop(while: isSpace)
        let text = String(decoding: bytes, as: UTF8.self)
        guard AzureToken.isUsable(text) else { throw fault("holds no token") }
        return text
    }
}

/// Settings of identities, from a resource's parameters or from the environment.
enum AzureSetting {
    /// A setting that must be there.
    static func value(
        _ given: String?, _ name: String?, _ environment: [String: String], _ variable: String, for whom: String
    ) throws(AzureError) -> String {
        if let given, !given.isEmpty { return given }
        if let value = environment[variable], !value.isEmpty { return value }
        let choice =
            name.map { "set \($0) or the environment variable \(variable)" }
            ?? "the environment variable \(variable) is not set"
        throw AzureError(.configuration, detail: "\(whom) is not set up: \(choice)")
    }

    /// A tenant: its id or one of its domains. It becomes part of a URL.
    static func tenant(
        _ given: String?, _ environment: [String: String], for whom: String
    ) throws(AzureError) -> String {
        let tenant = try value(given, "tenantID", environment, "AZURE_TENANT_ID", for: whom)
        let isName = tenant.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard isName, tenant.utf8.count <= 255, tenant != ".", tenant != ".." else {
            throw AzureError(.configuration, detail: "the tenant is neither an id nor a domain name")
        }
        return tenant
    }

    static func url(_ text: String, _ variable: String) throws(AzureError) -> HTTPURL {
        let url: HTTPURL
        do { url = try HTTPURL(parsing: text) } catch {
            throw AzureError(.configuration, detail: "\(variable): \(error)")
        }
        guard !url.target.contains("?") else {
            throw AzureError(.configuration, detail: "\(variable): the URL has a query")
        }
        return url
    }
}
