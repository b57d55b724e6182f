import HTTP
import Quotation
import TUF

/// Files of a TUF repository over HTTPS.
///
/// What is fetched is signed. HTTPS is asked for all the same: who sees and changes plain HTTP could keep updates away.
/// Plain HTTP is for this machine alone. Redirects are not followed: nobody but the configuration says which host is
/// asked.
package struct HTTPRepositoryFetcher: RepositoryFetcher {
    /// Why a file could not be had, or a URL cannot be used.
    package struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        /// What happened, where, and what to do.
        package let description: String
        /// Whether the URL itself is at fault, which must be mended.
        package let isConfiguration: Bool
    }

    private let url: HTTPURL
    private let http: any HTTPSending
    /// How long one file may take.
    private let timeout: Duration

    /// - Parameters:
    ///   - text: where the repository is: an absolute URL with or without a path.
    ///   - timeout: how long one file may take. The client's deadline may come earlier.
    package init(
        _ text: String, http: any HTTPSending, timeout: Duration = .seconds(30)
    ) throws(Fault) {
        do { url = try HTTPURL(parsing: text) } catch {
            throw Fault(description: "the repository's URL \"\(text.quoted)\": \(error)", isConfiguration: true)
        }
        guard url.scheme == .https || Self.isLoopback(url.host) else {
            throw Fault(
                description:
                    "the repository's URL \"\(text.quoted)\" is not https; plain http is for this machine alone",
                isConfiguration: true)
        }
        guard !url.target.contains("?") else {
            throw Fault(
                description: "the repository's URL \"\(text.quoted)\" has a query: names of files are added to it",
                isConfiguration: true)
        }
        self.http = http
        self.timeout = timeout
    }

    /// Whether a host is this machine by its name or address alone.
    private static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host == "::1" || host == "[::1]" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    package func fetch(_ path: String, maximumLength: Int) async throws -> [UInt8]? {
        let directory = url.target.hasSuffix("/") ? url.target : url.target + "/"
        let request = HTTPRequest(
            .get, try url.with(target: directory + path), maximumResponseBytes: maximumLength,
            deadline: .now + timeout, redirects: .refuse)
        let response: HTTPResponse
        do { response = try await http.send(request) } catch {
            if case .responseTooLarge = error.kind { throw RepositoryFetchError.tooLong }
            throw error
        }
        switch response.status {
        case 200: return response.body
        // Storage that lists nothing to strangers answers 403 for what is not there.
        case 403, 404: return nil
        case 300..<400:
            throw Fault(
                description:
                    "\(url.authority) redirects \"\(path.quoted)\", which is not followed; give the URL that the"
                    + " repository really has", isConfiguration: true)
        default:
            throw Fault(
                description: "\(url.authority) answers \"\(path.quoted)\" with the HTTP status \(response.status);"
                    + " check the repository's URL", isConfiguration: false)
        }
    }
}
