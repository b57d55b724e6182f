import ConfigurationModel
import Foundation
import OCI
import OCIRegistry
import ProviderServer
import ProviderTestSupport
import StrictJSON
import Synchronization
import TestSupport
import Verification

@testable import Kyverno

/// A verification service whose answers are in the image's name.
final class KyvernoStub: VerificationService {
    private let asked = Mutex<[String]>([])
    let settings: ServiceSettings
    let readiness = Readiness.ready

    static let digest = "sha256:" + String(repeating: "a", count: 64)

    init(timeout: Duration = .seconds(20)) { settings = ServiceSettings(verificationTimeout: timeout) }

    /// The keys it was asked about.
    var keys: [String] { asked.withLock { $0 } }

    func verdictAtHand(_ key: ImageKey) -> FirstLook<KeyAnswer> { .pending(PendingQuestion(key)) }

    func referenceAtHand(_ key: ImageKey) -> FirstLook<MutationAnswer> { .pending(PendingQuestion(key)) }

    func verify(_ question: PendingQuestion, deadline: ContinuousClock.Instant) async -> KeyAnswer {
        let key = question.key.description
        asked.withLock { $0.append(key) }
        if key.contains("down") {
            return .fault(TransientFault(stage: .referrers, host: "registry.example", cause: "connection refused"))
        }
        if key.contains("stuck") { await Gate().wait() }
        let reference = question.key.reference.description
        var report = VerifierReport(
            subject: reference, isSuccess: true, verifierName: "notation", referenceDigest: "sha256:1",
            message: "verified", extensions: ["SN": "CN=release", "Issuer": "CN=ca"])
        var second: VerifierReport?
        if key.contains("waived") { report.referenceDigest = nil }
        if key.contains("half") {
            second = report
            second?.isSuccess = false
            second?.isUndetermined = true
            second?.errorReason = "fetching a signature at registry.example: status 503"
        }
        if key.contains("unsigned") {
            report = VerifierReport(
                subject: reference, isSuccess: false, message: "failed",
                errorReason: "\(VerifierReport.unsigned) \"\(reference)@\(KyvernoStub.digest)\"")
        }
        return .decided(
            Decision(
                isSuccess: report.isSuccess, reference: reference,
                digest: key.contains("waived") ? nil : try? Digest(parsing: KyvernoStub.digest),
                reports: [report] + (second.map { [$0] } ?? [])))
    }

    func mutate(_ question: PendingQuestion, deadline: ContinuousClock.Instant) async -> MutationAnswer {
        .reference(
            "\(question.key.text.drop { $0 != "/" }.isEmpty ? "x" : "registry.example/app")@\(KyvernoStub.digest)")
    }
}

/// Knows tokens by heart.
struct KnownTokens: CallerAuthenticator {
    static let kyverno = "system:serviceaccount:kyverno:kyverno-admission-controller"

    func authenticate(token: String, deadline: ContinuousClock.Instant) async -> CallerIdentity {
        switch token {
        case "kyvernos": .user(KnownTokens.kyverno)
        case "somebodys": .user("system:serviceaccount:default:default")
        case "reviewless": .unavailable("the Kubernetes API at 127.0.0.1 does not answer")
        default: .unknown("the token is not valid: it has expired, or is for another audience")
        }
    }
}

/// A running provider with a listener for Kyverno.
struct RunningKyverno {
    let provider: RunningServer
    let stub: KyvernoStub
    let files: CertificateDirectory

    init(
        _ stub: KyvernoStub = KyvernoStub(), callers: (any CallerAuthenticator)? = KnownTokens(),
        _ change: (inout ProviderConfiguration) -> Void = { _ in }
    ) async throws {
        self.stub = stub
        files = try CertificateDirectory()
        let local = ListenAddress(host: "127.0.0.1", port: 0)
        var configuration = ProviderConfiguration(
            address: local, certificates: files.files, healthAddress: nil, metricsAddress: nil)
        configuration.certificateInterval = .seconds(3600)
        change(&configuration)
        provider = try await RunningServer(configuration, KyvernoListener(address: local), stub, callers: callers)
    }

    var port: Int { provider.ports.kyverno ?? 0 }

    /// A client without a certificate, as Kyverno is.
    var options: TestClient.Options { TestClient.Options(trusting: files.serverAuthority) }

    /// Asks as Kyverno does.
    func ask(
        _ body: String, token: String? = "kyvernos", _ method: String = "POST", _ path: String = "/kyverno/v1/verify",
        identity: Identity? = nil, port: Int? = nil
    ) async throws -> TestClient.Reply {
        var options = options
        options.identity = identity
        let client = try await TestClient.connect(port: port ?? self.port, options)
        defer { client.close() }
        return try await client.ask(
            method, path, headers: token.map { ["Authorization: Bearer \($0)"] } ?? [], body: body)
    }
}
