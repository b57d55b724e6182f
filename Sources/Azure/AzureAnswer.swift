import FoundationEssentials
import HTTP
import Quotation
import StrictJSON

/// What Azure says in an error document, made fit for a message.
struct AzureComplaint: Sendable {
    /// `invalid_client`, `UNAUTHORIZED`; `nil` when the answer holds none.
    var code: String?
    /// In Azure's words.
    var text: String?
    /// What a key vault adds to its code: `SecretDisabled`, `ForbiddenByRbac`.
    var innerCode: String?

    /// Reads the error documents of the token endpoint and of the metadata service (RFC 6749, section 5.2), of a
    /// registry (distribution specification, "Error Codes"), and of a key vault.
    ///
    /// - Parameter secrets: what must not be repeated, should the peer send it back.
    init(_ response: HTTPResponse, without secrets: [String]) {
        guard response.body.count <= 64 * 1024, let document = try? StrictJSON.parse(response.body) else { return }
        if let first = document["errors"]?.array?.first {
            code = first["code"]?.string
            text = first["message"]?.string
        } else if let error = document["error"], error.object != nil {
            code = error["code"]?.string
            text = error["message"]?.string
            innerCode = error["innererror"]?["code"]?.string
        } else {
            code = document["error"]?.string
            text = document["error_description"]?.string
        }
        var sent = response.sent
        sent.add(secrets)
        func quote(_ text: String) -> String { sent.quote(AzureComplaint.inOneLine(text)) }
        code = code.map(quote)
        innerCode = innerCode.map(quote)
        // The number of the error says what to look up, also where the rest of the text repeats what was sent.
        text = text.map { text in
            let shown = quote(text)
            guard shown == Quotation.withheldSecret, let number = AzureComplaint.errorNumber(text) else { return shown }
            return "\(number): \(shown)"
        }
    }

    /// `AADSTS700213` at the beginning of what Microsoft Entra ID says; `nil` where there is no such number.
    private static func errorNumber(_ text: String) -> Substring? {
        let prefix = "AADSTS"
        let digits = text.dropFirst(prefix.count).prefix { $0.isASCII && $0.isNumber }
        guard text.hasPrefix(prefix), (4...9).contains(digits.count) else { return nil }
        return text.prefix(prefix.count + digits.count)
    }

    /// Ready to follow a status.
    var suffix: String {
        let parts = [code, innerCode, text].compactMap { $0 }.filter { !$0.isEmpty }
        return parts.isEmpty ? "" : ": " + parts.joined(separator: ": ")
    }

    /// Azure's texts have line breaks between their parts.
    private static func inOneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }
}

/// What a form holds.
enum AzureForm {
    /// The fields that prove who asks.
    static func secrets(_ fields: [(String, String)]) -> [String] {
        fields.filter { ["client_assertion", "access_token", "refresh_token"].contains($0.0) }.map(\.1)
    }
}

extension JSONValue {
    /// A whole number, also when it is written as a string: the metadata service does that.
    var lenientInteger: Int64? { integer ?? string.flatMap { Int64($0) } }
}
