import Foundation
import StrictJSON
import TestSupport
import Testing

/// What the provider answered, read as Gatekeeper and a template read it.
struct Answer: CustomStringConvertible {
    let status: Int
    let text: String
    let json: JSONValue
    /// The keys that were asked for.
    let asked: [String]

    init(_ reply: TestClient.Reply, asked: [String]) {
        status = reply.status
        text = reply.text
        json = (try? reply.json) ?? .null
        self.asked = asked
    }

    var description: String { text }
    var response: JSONValue? { json["response"] }
    var items: [JSONValue] { response?["items"]?.array ?? [] }
    var systemError: String? { response?["systemError"]?.string }
    var keys: [String] { items.compactMap { $0["key"]?.string } }

    /// The item of a key, the first of those asked for unless said.
    func item(_ key: String? = nil) -> JSONValue? {
        let key = key ?? asked.first ?? ""
        return items.first { $0["key"]?.string == key }
    }

    func value(_ key: String? = nil) -> JSONValue? { item(key)?["value"] }

    /// Whether a template that fails closed lets this image in.
    func admits(_ key: String? = nil) -> Bool { value(key)?["isSuccess"] == true && item(key)?["error"] == nil }

    /// Whether there is a definite verdict against the image.
    func denies(_ key: String? = nil) -> Bool { value(key)?["isSuccess"] == false }

    /// The reports on a key.
    func reports(_ key: String? = nil) -> [JSONValue] { value(key)?["verifierReports"]?.array ?? [] }

    /// Why not, as a person reads it.
    func reason(_ key: String? = nil) -> String {
        guard let report = reports(key).first(where: { $0["isSuccess"] == false }) else { return "" }
        return report["errorReason"]?.string ?? report["message"]?.string ?? ""
    }
}

/// The image is admitted, and nothing else is in the answer.
func expectAdmitted(
    _ answer: Answer, _ key: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(answer.admits(key), "\(answer)", sourceLocation: sourceLocation)
    #expect(answer.systemError == nil, sourceLocation: sourceLocation)
    #expect(answer.value(key)?["timestamp"]?.string?.isEmpty == false, sourceLocation: sourceLocation)
    #expect(answer.value(key)?["traceID"]?.string?.isEmpty == false, sourceLocation: sourceLocation)
}

/// A definite verdict against the image, whose reason has these words.
func expectDenied(
    _ answer: Answer, _ key: String? = nil, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(answer.denies(key) && !answer.admits(key), "\(answer)", sourceLocation: sourceLocation)
    #expect(answer.systemError == nil, sourceLocation: sourceLocation)
    #expect(answer.value(key)?["timestamp"]?.string?.isEmpty == false, sourceLocation: sourceLocation)
    #expect(answer.value(key)?["traceID"]?.string?.isEmpty == false, sourceLocation: sourceLocation)
    let reason = answer.reason(key)
    for word in words {
        #expect(reason.contains(word), "\(reason)", sourceLocation: sourceLocation)
    }
    #expect(
        answer.reports(key).contains { $0["remediation"]?.string?.isEmpty == false }, sourceLocation: sourceLocation)
}

/// A transient fault: no item that Gatekeeper could keep, and a system error with the key and these words.
func expectFault(
    _ answer: Answer, _ key: String? = nil, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation
) {
    let key = key ?? answer.asked.first ?? ""
    #expect(answer.item(key) == nil, "\(answer)", sourceLocation: sourceLocation)
    let error = answer.systemError ?? ""
    #expect(error.contains(key), "\(answer)", sourceLocation: sourceLocation)
    for word in words { #expect(error.contains(word), "\(error)", sourceLocation: sourceLocation) }
}
