import HTTP
import Notation
import Quotation

/// A place that a certificate or a list names for revocation information ("support only HTTP CRL URLs"; responses are
/// signed, and https would need revocation checks of its own).
struct RevocationURL: Hashable, Sendable, CustomStringConvertible {
    /// The URL.
    let text: String

    /// The most bytes of a URL: what authorities name has some 100.
    static let maximumBytes = 2_048

    /// Takes a URL whose scheme is http.
    init(_ text: String) throws(ValidationFailure) {
        guard text.utf8.count <= Self.maximumBytes else {
            throw ValidationFailure(
                "\(text.quoted) cannot be asked: the URL has \(text.utf8.count) bytes; at most \(Self.maximumBytes) "
                    + "are accepted; have the certificate authority name a shorter one")
        }
        guard text.prefix(7).lowercased() == "http://" else {
            throw ValidationFailure(
                "\(text.quoted) cannot be asked: revocation information is fetched from http URLs only; have the "
                    + "certificate authority name one")
        }
        self.text = text
    }

    /// The URL, not longer than a message can bear.
    var description: String { text.quoted }

    /// Fetches what is there.
    ///
    /// - Throws: transient for whatever may be gone in a moment: no connection, no answer in time, 429, server errors.
    ///   Any other answer than 200 is definite.
    func fetch(
        _ request: HTTPRequest, with http: any HTTPSending, _ options: RevocationOptions
    ) async throws(ValidationFailure) -> [UInt8] {
        var request = request
        request.privateAddresses = options.privateAddresses
        request.redirectsToPrivateAddresses = options.privateAddresses
        let response: HTTPResponse
        do throws(HTTPError) { response = try await http.send(request) } catch {
            throw ValidationFailure("\(self) cannot be asked: \(error)", isTransient: error.isTransient)
        }
        guard response.status == 200 else {
            throw ValidationFailure(
                "\(self) answers with the HTTP status \(response.status); ask whoever runs it",
                isTransient: response.status == 408)
        }
        return response.body
    }
}
