import NIOCore
import StrictJSON

/// A request of Gatekeeper's for some keys, byte for byte as Go writes it, and what must come back.
struct Question: Sendable {
    let keys: [String]
    let request: ByteBuffer

    init(keys: [String]) {
        self.keys = keys
        let body: JSONValue = [
            "apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest",
            "request": ["keys": .array(keys.map(JSONValue.string))],
        ]
        let text = body.text
        request = ByteBuffer(
            string:
                "POST /ratify/gatekeeper/v1/verify HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Go-http-client/1.1\r\n"
                + "Content-Length: \(text.utf8.count)\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n"
                + text)
    }

    /// A quick look at every answer: each key succeeded and nothing failed. A fast wrong answer is not a figure.
    func check(_ answer: ByteBuffer) throws {
        let isGood = answer.withUnsafeReadableBytes { bytes in
            var rest = bytes
            for _ in keys {
                guard let found = AnswerReader.find(#""isSuccess":true"#, in: rest) else { return false }
                rest = UnsafeRawBufferPointer(rebasing: rest[(found + 16)...])
            }
            return AnswerReader.find(#""isSuccess":false"#, in: bytes) == nil
                && AnswerReader.find(#""systemError":"#, in: bytes) == nil
        }
        guard isGood else { throw BenchmarkError("not the right answer: \(String(buffer: answer).prefix(2000))") }
    }

    /// A thorough look at one answer: an item for each key, with a value that says success.
    func prove(_ answer: ByteBuffer) throws {
        let items = try StrictJSON.parse(Array(answer.readableBytesView))["response"]?["items"]?.array ?? []
        let good = items.filter { $0["value"]?["isSuccess"]?.bool == true }.compactMap { $0["key"]?.string }
        guard good.sorted() == keys.sorted() else {
            throw BenchmarkError("not all images were admitted: \(String(buffer: answer).prefix(2000))")
        }
    }
}
