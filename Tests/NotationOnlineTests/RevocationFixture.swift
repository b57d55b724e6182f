import Foundation
import HTTP
import Notation
import NotationOnline
import PKI
import Synchronization
import TestSupport

/// An HTTP client that answers from a table, and remembers what it was asked.
final class TableHTTP: HTTPSending {
    /// What a URL answers.
    enum Answer: Sendable {
        case content([UInt8])
        case status(Int)
        case failure(HTTPError.Kind)
        /// Nothing, until the request's deadline.
        case silence
    }

    private let answers = Mutex<[String: Answer]>([:])
    private let asked = Mutex<[HTTPRequest]>([])
    /// How long an answer takes.
    let delay: Duration
    /// How many requests must be there before the first is answered.
    let meeting: Int

    init(delay: Duration = .zero, meeting: Int = 1) {
        self.delay = delay
        self.meeting = meeting
    }

    /// The answer of every URL that begins so.
    subscript(prefix: String) -> Answer? {
        get { answers.withLock { $0[prefix] } }
        set { answers.withLock { $0[prefix] = newValue } }
    }

    var requests: [HTTPRequest] { asked.withLock { $0 } }

    func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        asked.withLock { $0.append(request) }
        let answer = answers.withLock { table in
            table.filter { request.url.hasPrefix($0.key) }.max { $0.key.count < $1.key.count }?.value
        }
        func error(_ kind: HTTPError.Kind) -> HTTPError {
            HTTPError(kind: kind, host: "test", method: request.method, attempts: 1, detail: "made to fail")
        }
        for _ in 0..<2_000 where requests.count < meeting { try? await Task.sleep(for: .milliseconds(10)) }
        guard requests.count >= meeting else { throw error(.timeout) }
        if delay > .zero { try? await Task.sleep(for: delay) }
        switch answer {
        case .content(let body):
            guard body.count <= request.maximumResponseBytes else {
                throw error(.responseTooLarge(request.maximumResponseBytes))
            }
            return HTTPResponse(status: 200, body: body, url: request.url)
        case .status(let status): return HTTPResponse(status: status, url: request.url)
        case .failure(let kind): throw error(kind)
        case .silence:
            try? await Task.sleep(until: request.deadline, clock: .continuous)
            throw error(.timeout)
        case nil: throw error(.connect)
        }
    }
}

/// A root and a leaf that names sources of revocation information, and a checker that asks a table.
struct RevocationFixture {
    static let ocspURL = "http://ocsp.test"
    static let listURL = "http://crl.test/list.crl"

    let now = Date()
    let root: CertificateAuthority
    let leaf: Identity
    let http: TableHTTP
    let cache = RevocationCache()
    /// No limit depends on how busy the machine is.
    var options = RevocationOptions(ocspTimeout: .seconds(600), crlTimeout: .seconds(600))

    init(ocsp: [String] = [], lists: [String] = [], delay: Duration = .zero, meeting: Int = 1) throws {
        root = try CertificateAuthority(name: "root")
        var template = CertificateTemplate.codeSigning("leaf")
        if !ocsp.isEmpty { template.extensions.append(.ocsp(ocsp)) }
        if !lists.isEmpty { template.extensions.append(.crlDistributionPoints(lists)) }
        leaf = try root.issue(template)
        http = TableHTTP(delay: delay, meeting: meeting)
    }

    /// Makes a responder answer.
    func answer(
        _ template: OCSPResponseTemplate, at url: String = ocspURL, by responder: Identity? = nil
    ) throws {
        http[url] = .content(
            try template.sign(leaf.certificate, issuer: root.certificate, by: responder ?? root.identity))
    }

    /// Publishes a list.
    func publish(
        _ template: RevocationListTemplate, at url: String = listURL, by authority: CertificateAuthority? = nil
    ) throws {
        http[url] = .content(try template.sign(by: authority ?? root))
    }

    /// The outcome of a check, and until when it is good.
    func check(
        signingTime: Date? = nil, now: Date? = nil, isTrusted: Bool = true, deadline: Duration = .seconds(600)
    ) async -> Result<Date?, ValidationFailure> {
        let checker = RevocationChecker(http: http, cache: cache, options: options)
        do throws(ValidationFailure) {
            return .success(
                try await checker.check(
                    leaf.chain, isTrusted: isTrusted, authenticSigningTime: signingTime, now: now ?? self.now,
                    deadline: .now + deadline))
        } catch { return .failure(error) }
    }

    /// Why a check failed: empty when it did not.
    func refusal(
        signingTime: Date? = nil, now: Date? = nil, isTrusted: Bool = true, deadline: Duration = .seconds(600)
    ) async -> String {
        guard
            case .failure(let failure) = await check(
                signingTime: signingTime, now: now, isTrusted: isTrusted, deadline: deadline)
        else { return "" }
        return (failure.isTransient ? "passing: " : "") + failure.description
    }
}
