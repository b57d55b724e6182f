import Encoding

/// What a request sent that only its receiver may know: passwords, tokens, the `Authorization` header.
///
/// A server that fails likes to say what it was asked, and whoever puts its words into a denial or a log would publish
/// the password there. So what it says goes through ``quote(_:)``, which shows nothing that holds a secret: as it is or
/// in part, in Base64, percent-encoded, escaped as in JSON or in hexadecimal, in any case of letters.
package struct SentSecrets: Sendable {
    private var secrets: [String]
    /// Values of `Authorization`, and forms, read when somebody asks: nearly always nobody does.
    private var authorizations: [String] = []
    private var forms: [[UInt8]] = []

    /// No more of an answer's text is looked at; and no more is shown.
    private static let maximumTextBytes = 8 << 10
    /// So many characters of a longer secret in a row are a part of it.
    private static let partLength = 16

    /// Some secrets; empty ones do not count.
    package init(_ secrets: [String] = []) { self.secrets = secrets.filter { !$0.isEmpty } }

    /// Adds secrets.
    package mutating func add(_ more: [String]) { secrets += more.filter { !$0.isEmpty } }

    /// Adds those of an `Authorization` header: its value, what follows the scheme, and the password of a Basic one.
    package mutating func add(authorization value: String) { authorizations.append(value) }

    /// Adds the fields of a form that prove who asks (RFC 6749, RFC 7523; Azure's `access_token`).
    package mutating func add(form body: [UInt8]) { forms.append(body) }

    /// Text of an answer as a message may quote it: as ``Swift/StringProtocol/quoted``, and not at all when it holds a
    /// secret.
    package func quote(_ text: some StringProtocol) -> String {
        areRepeated(in: text) ? Quotation.withheldSecret : text.quoted.withoutFinalStop
    }

    /// A host's name that an answer chose, or a text of ours with words of an answer in it: as it is, or not at all.
    package func shown(_ text: String) -> String { areRepeated(in: text) ? Quotation.withheldSecret : text }

    /// Whether a text holds one of the secrets, or a long part of one.
    package func areRepeated(in text: some StringProtocol) -> Bool {
        guard !secrets.isEmpty || !authorizations.isEmpty || !forms.isEmpty else { return false }
        let plain = Array(text.utf8.prefix(Self.maximumTextBytes))
        let unescaped = Self.unescaped(plain)
        // Letters outside ASCII have cases, too: both sides are compared in capitals as well, for "ß" has no other.
        let texts = [
            plain, unescaped, PercentEncoding.decodeLeniently(plain), PercentEncoding.decodeLeniently(unescaped),
        ]
        .flatMap { [$0, Self.inCapitals($0)] }.map { $0.map(Bytes.lowercased) }
        var parts: [Set<ArraySlice<UInt8>>] = []
        for secret in all {
            for form in Self.forms(of: Array(secret.utf8)) {
                if form.count <= Self.partLength {
                    if texts.contains(where: { Bytes.contain($0, form) }) { return true }
                    continue
                }
                if parts.isEmpty { parts = texts.map(Self.parts) }
                let own = Self.parts(of: form)
                if parts.contains(where: { !$0.isDisjoint(with: own) }) { return true }
            }
        }
        return false
    }

    private var all: [String] {
        (secrets + authorizations.flatMap(Self.parts(ofAuthorization:)) + forms.flatMap(Self.parts(ofForm:)))
            .filter { !$0.isEmpty }
    }

    private static func parts(ofAuthorization value: String) -> [String] {
        guard let space = value.firstIndex(of: " ") else { return [value] }
        let credentials = String(value[space...].drop { $0 == " " })
        guard value[..<space].lowercased() == "basic", let bytes = Base64.decode(credentials, allowsLeftoverBits: true)
        else {
            return [value, credentials]
        }
        let pair = String(decoding: bytes, as: UTF8.self)
        let password = pair.firstIndex(of: ":").map { String(pair[pair.index(after: $0)...]) }
        return [value, credentials, pair, password ?? ""]
    }

    private static func parts(ofForm body: [UInt8]) -> [String] {
        let names = [
            "password", "refresh_token", "access_token", "client_assertion", "client_secret", "assertion", "token",
        ]
        return String(decoding: body, as: UTF8.self).split(separator: "&").compactMap { field in
            guard let equals = field.firstIndex(of: "="), names.contains(String(field[..<equals])) else { return nil }
            let value = PercentEncoding.decodeLeniently(
                Array(field[field.index(after: equals)...].utf8), plusIsSpace: true)
            return String(decoding: value, as: UTF8.self)
        }
    }

    /// Every run of ``partLength`` bytes.
    private static func parts(of bytes: [UInt8]) -> Set<ArraySlice<UInt8>> {
        guard bytes.count >= partLength else { return [] }
        return Set((0...(bytes.count - partLength)).map { bytes[$0..<($0 + partLength)] })
    }

    /// A secret as it may come back, in lower case. Base64 of a longer text that has it inside looks different at each
    /// of three places; what depends on its neighbours is left out.
    private static func forms(of secret: [UInt8]) -> [[UInt8]] {
        var forms = [secret, inCapitals(secret), Array(Hex.text(secret).utf8)]
        for shift in 0..<3 {
            let encoded = Array(Base64.encode([UInt8](repeating: 0, count: shift) + secret).utf8)
            let length = (shift + secret.count) * 8 / 6
            let inner = encoded[min((shift * 8 + 5) / 6, length)..<length]
            // Less says nothing: it would be found in any text.
            guard inner.count >= 4 else { continue }
            forms.append(Array(inner))
            forms.append(
                inner.map {
                    $0 == UInt8(ascii: "+") ? UInt8(ascii: "-") : $0 == UInt8(ascii: "/") ? UInt8(ascii: "_") : $0
                })
        }
        return forms.map { $0.map(Bytes.lowercased) }
    }

    private static func inCapitals(_ bytes: [UInt8]) -> [UInt8] {
        Array(String(decoding: bytes, as: UTF8.self).uppercased().utf8)
    }

    /// Without the escapes of JSON (RFC 8259, section 7), and those of quotations.
    private static func unescaped(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var rest = bytes[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let escape = rest.popFirst() else {
                result.append(byte)
                continue
            }
            switch escape {
            case UInt8(ascii: "n"): result.append(0x0A)
            case UInt8(ascii: "t"): result.append(0x09)
            case UInt8(ascii: "r"): result.append(0x0D)
            case UInt8(ascii: "u"):
                // `\u00e9`, and `\u{e9}` as quotations have it.
                let isBraced = rest.first == UInt8(ascii: "{")
                let digits = isBraced ? rest.dropFirst().prefix { $0 != UInt8(ascii: "}") } : rest.prefix(4)
                let text = String(decoding: digits, as: UTF8.self)
                if isBraced || digits.count == 4, let scalar = UInt32(text, radix: 16).flatMap(Unicode.Scalar.init) {
                    result += Array(String(Character(scalar)).utf8)
                    rest = rest.dropFirst(digits.count + (isBraced ? 2 : 0))
                } else {
                    result.append(escape)
                }
            default: result.append(escape)
            }
        }
        return result
    }
}
