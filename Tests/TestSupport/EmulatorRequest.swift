import Foundation
import NIOHTTP1

/// A request as it arrived at an emulator.
package struct EmulatorRequest: Sendable {
    package let method: String
    /// The path, percent-encoding left as it is, without the query.
    package let path: String
    /// The query's parameters, decoded.
    package let query: [String: String]
    package let headers: [(name: String, value: String)]
    package let body: [UInt8]

    init(_ head: HTTPRequestHead, _ body: [UInt8]) {
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        method = head.method.rawValue
        path = String(parts[0])
        query = parts.count > 1 ? Self.parameters(of: String(parts[1])) : [:]
        headers = head.headers.map { (name: $0.name, value: $0.value) }
        self.body = body
    }

    /// The first header of this name, without regard to case.
    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// The body's parameters, of a form.
    var form: [String: String] { Self.parameters(of: String(decoding: body, as: UTF8.self)) }

    /// Parameters of a query or a form.
    private static func parameters(of text: String) -> [String: String] {
        var parameters: [String: String] = [:]
        for pair in text.split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
                $0.replacingOccurrences(of: "+", with: " ").removingPercentEncoding ?? ""
            }
            // Of a repeated parameter all values count, as in `scope`.
            let value = halves.count > 1 ? halves[1] : ""
            parameters[halves[0]] = parameters[halves[0]].map { "\($0) \(value)" } ?? value
        }
        return parameters
    }
}
