import Encoding
import FoundationEssentials
import HTTP

/// A managed identity of the node, through the Azure Instance Metadata Service.
package struct ManagedIdentity: AzureTokenSource {
    /// Who asks.
    package let identity: AzureIdentity
    private let service: HTTPURL
    private let http: any HTTPSending
    private let baseBackoff: Duration

    /// Where the metadata service is on every Azure machine: an address that no packet leaves the host for.
    private static let address = "http://169.254.169.254"

    /// An identity.
    ///
    /// - Parameters:
    ///   - clientID: takes the place of `AZURE_CLIENT_ID`; without either, the machine's system-assigned identity.
    ///   - environment: also `AZURE_POD_IDENTITY_AUTHORITY_HOST`, another place of the service, as Azure's SDKs have
    ///     it.
    ///   - http: a client that uses no proxy: the service answers the machine itself only.
    ///   - baseBackoff: the wait before the second attempt.
    package init(
        clientID: String? = nil, environment: [String: String], http: any HTTPSending,
        baseBackoff: Duration = .milliseconds(800)
    ) throws(AzureError) {
        let given = clientID.flatMap { $0.isEmpty ? nil : $0 }
        let place = environment["AZURE_POD_IDENTITY_AUTHORITY_HOST"].flatMap { $0.isEmpty ? nil : $0 }
        service = try AzureSetting.url(place ?? ManagedIdentity.address, "AZURE_POD_IDENTITY_AUTHORITY_HOST")
        identity = AzureIdentity(
            kind: .managedIdentity, authority: service.text, tenant: "",
            client: given ?? environment["AZURE_CLIENT_ID"] ?? "")
        self.http = http
        self.baseBackoff = baseBackoff
    }

    /// Asks the metadata service.
    ///
    /// Its documentation wants 404 (an identity that is being assigned), 410 (the service is being updated, for up to
    /// 70 seconds), 429 and 5xx to be tried again with growing waits.
    package func fetch(
        _ scope: AzureScope, deadline: ContinuousClock.Instant, note: @escaping @Sendable (AzureError) -> Void
    ) async throws(AzureError) -> AzureToken {
        let purpose = "getting a token for \(identity)"
        let call = AzureCall(
            http: http, endpoint: service.authority, purpose: purpose, retried: [404, 410], maximumAttempts: 8,
            baseBackoff: baseBackoff)
        var query = [("api-version", "2018-02-01"), ("resource", scope.resource)]
        if !identity.client.isEmpty { query.append(("client_id", identity.client)) }
        let base = service.text.hasSuffix("/") ? service.text : service.text + "/"
        let asked = ContinuousClock.now
        let response = try await call.send(
            .get, "\(base)metadata/identity/oauth2/token?\(PercentEncoding.form(query))", headers: ["Metadata": "true"],
            deadline: deadline, note: note)
        guard response.status == 200 else {
            let complaint = AzureComplaint(response, without: [])
            throw AzureError(
                .refused, endpoint: service.authority,
                detail:
                    "\(purpose): the metadata service refuses (\(response.status))\(complaint.suffix); check that this identity is assigned to the node (to its virtual machine scale set)",
                code: complaint.code)
        }
        return try AzureToken.read(response, asked: asked, now: Date(), endpoint: service.authority, purpose: purpose)
    }
}
