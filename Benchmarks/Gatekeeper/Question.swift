import NIOCore
import StrictJSON

/// A request of Gatekeeper's for some keys, byte for byte as Go writes it, and what must come back.
struct Question: Sendable {
    /// What makes an answer right.
    enum Expectation: String, CaseIterable, Sendable {
        /// Each image is admitted.
        case admitted
        /// There is an answer of the protocol, whatever it says.
        case answered
    }

    let keys: [String]
    let request: ByteBuffer
    private let expectation: Expectation

    init(
        keys: [String], path: String = "/ratify/gatekeeper/v1/verify", host: String = "localhost",
        expecting expectation: Expectation = .admitted
    ) {
        self.keys = keys
        self.expectation = expectation
        let body: JSONValue = [
            "apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest",
            "request": ["keys": .array(keys.map(JSONValue.string))],
        ]
        let text = body.text
        request = ByteBuffer(
            string:
                "POST \(path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: Go-http-client/1.1\r\n"
                + "Content-Length: \(text.utf8.count)\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n"
                + text)
    }

    /// A quick look at every answer: each key succeeded and nothing failed. A fast wrong answer is not a figure.
    func check(_ answer: ByteBuffer) throws {
        let isGood = answer.withUnsafeReadableBytes { bytes in
            guard expectation == .admitted else {
                return AnswerReader.find(#""ProviderResponse""#, in: bytes) != nil
            }
            var rest = bytes
            for _ in keys {
                guard let found = AnswerReader.find(#""isSuccess":true"#, in: rest) else { return false }
                rest = UnsafeRawBufferPointer(rebasing: rest[(found + 16)...])
            }
            return AnswerReader.find(#""isSuccess":false"#, in: bytes) == nil && !hasSystemError(bytes)
        }
        guard isGood else { throw BenchmarkError("not the right answer: \(String(buffer: answer).prefix(2000))") }
    }

    /// Ratify always writes the member, empty when there is none.
    private func hasSystemError(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let place = AnswerReader.find(#""systemError":"#, in: bytes) else { return false }
        return !bytes[(place + 14)...].starts(with: #""""#.utf8)
    }

    /// A thorough look at one answer: an item for each key, with a value that says success.
    func prove(_ answer: ByteBuffer) throws {
        guard expectation == .admitted else { return try check(answer) }
        let items = try StrictJSON.parse(Array(answer.readableBytesView))["response"]?["items"]?.array ?? []
        let good = items.filter { $0["value"]?["isSuccess"]?.bool == true }.compactMap { $0["key"]?.string }
        guard good.sorted() != keys.sorted() else { return }
        let text = String(buffer: answer)
        throw BenchmarkError(
            "\(good.count == items.count ? Self.undecided : "not all images were admitted"): \(text.prefix(1000)) … \(text.suffix(1000))"
        )
    }

    /// How the failure begins when nothing was denied, but some images were not judged this time.
    static let undecided = "images without a verdict"
}
