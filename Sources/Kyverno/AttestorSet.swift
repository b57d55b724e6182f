import PKI
import Quotation
import StrictJSON
import Verification

/// A set of attestors in the shape of Kyverno's policies: so many of its entries must have signed.
struct AttestorSet: Sendable {
    /// Who may have signed.
    indirect enum Entry: Sendable {
        /// One signature that has all of these.
        case signature(SignatureCondition)
        /// A set within the set.
        case set(AttestorSet)
    }

    /// How many entries must be satisfied.
    let count: Int
    let entries: [Entry]
    /// Where it stands in the request: `attestors[0]`.
    let path: String

    private static let maximumDepth = 4
    private static let maximumEntries = 100

    /// Reads the member `attestors`.
    static func sets(_ value: JSONValue?) throws(KyvernoRequestError) -> [AttestorSet] {
        guard let value else { return [] }
        guard let array = value.array else {
            throw KyvernoRequestError("attestors is \(value.kind), expected an array of sets")
        }
        guard !array.isEmpty else {
            throw KyvernoRequestError("attestors is empty: leave it out to let the configuration decide alone")
        }
        guard array.count <= maximumEntries else {
            throw KyvernoRequestError("attestors has more than \(maximumEntries) sets")
        }
        var sets: [AttestorSet] = []
        for (index, element) in array.enumerated() {
            sets.append(try AttestorSet(element, path: "attestors[\(index)]", depth: 1))
        }
        return sets
    }

    private init(_ value: JSONValue, path: String, depth: Int) throws(KyvernoRequestError) {
        guard let object = value.object else {
            throw KyvernoRequestError("\(path) is \(value.kind), expected an object")
        }
        if let unknown = object.names.first(where: { $0 != "count" && $0 != "entries" }) {
            throw KyvernoRequestError(
                "\(path) has the member \"\(unknown.quoted)\": expected count and entries")
        }
        guard depth <= AttestorSet.maximumDepth else {
            throw KyvernoRequestError("\(path) is nested more than \(AttestorSet.maximumDepth) deep")
        }
        guard let array = object["entries"]?.array, !array.isEmpty, array.count <= AttestorSet.maximumEntries else {
            throw KyvernoRequestError(
                "\(path).entries is not an array of 1 to \(AttestorSet.maximumEntries) entries")
        }
        var entries: [Entry] = []
        for (index, element) in array.enumerated() {
            let path = "\(path).entries[\(index)]"
            guard let entry = element.object else {
                throw KyvernoRequestError("\(path) is \(element.kind), expected an object")
            }
            if let nested = entry["attestor"] {
                guard entry.count == 1 else {
                    throw KyvernoRequestError("\(path) has attestor and other members: it can only have one of both")
                }
                entries.append(.set(try AttestorSet(nested, path: path + ".attestor", depth: depth + 1)))
            } else {
                entries.append(.signature(try SignatureCondition(entry, path: path)))
            }
        }
        self.path = path
        self.entries = entries
        // As in Kyverno: none and 0 are all.
        switch object["count"] {
        case nil, .null: count = entries.count
        case let value?:
            guard let number = value.integer, number >= 0, number <= entries.count else {
                throw KyvernoRequestError(
                    "\(path).count is not a number from 1 to \(entries.count), the number of entries")
            }
            count = number == 0 ? entries.count : Int(number)
        }
    }

    /// Why the reports do not satisfy this set; `nil` when they do.
    func shortcoming(in reports: [VerifierReport]) -> String? {
        var satisfied = 0
        var reasons: [String] = []
        for entry in entries {
            switch entry {
            case .signature(let condition):
                if reports.contains(where: condition.isSatisfied(by:)) {
                    satisfied += 1
                } else {
                    reasons.append("\(condition.path): no verified signature has \(condition)")
                }
            case .set(let set):
                if let reason = set.shortcoming(in: reports) { reasons.append(reason) } else { satisfied += 1 }
            }
        }
        guard satisfied < count else { return nil }
        return
            "\(path): \(satisfied) of the \(count) attestors that are needed have signed (\(reasons.joined(separator: "; ")))"
    }
}

/// What one signature must have, beside being good.
struct SignatureCondition: Sendable, CustomStringConvertible {
    /// Where it stands in the request.
    let path: String
    private var verifier: String?
    private var subject: WildcardPattern?
    private var issuer: WildcardPattern?
    /// SHA-256 of certificates of which one must be in the signature's chain.
    private var certificates: Set<String>?

    private static let members = ["verifier", "subject", "issuer", "certificates", "attestor"]

    /// Reads an entry of a set.
    init(_ entry: JSONObject, path: String) throws(KyvernoRequestError) {
        self.path = path
        for (name, value) in entry.members {
            func text() throws(KyvernoRequestError) -> String {
                guard let text = value.string, !text.isEmpty, text.utf8.count <= 2048 else {
                    throw KyvernoRequestError("\(path).\(name) is not a string of 1 to 2048 bytes")
                }
                return text
            }
            switch name {
            case "verifier": verifier = try text()
            case "subject": subject = WildcardPattern(text: try text())
            case "issuer": issuer = WildcardPattern(text: try text())
            case "certificates":
                certificates = try SignatureCondition.certificates(value, path: "\(path).certificates")
            default:
                throw KyvernoRequestError(
                    "\(path) has the member \"\(name.quoted)\", which is not known: expected "
                        + SignatureCondition.members.joined(separator: ", "))
            }
        }
        guard !entry.isEmpty else {
            throw KyvernoRequestError(
                "\(path) names nobody: expected " + SignatureCondition.members.joined(separator: ", "))
        }
    }

    private static func certificates(
        _ value: JSONValue, path: String
    ) throws(KyvernoRequestError) -> Set<String> {
        guard let object = value.object else {
            throw KyvernoRequestError("\(path) is \(value.kind), expected an object")
        }
        var found: Set<String> = []
        for (name, value) in object.members {
            guard name == "cert" || name == "certChain" else {
                throw KyvernoRequestError(
                    "\(path) has the member \"\(name.quoted)\", which is not known: expected cert, certChain")
            }
            guard let text = value.string else {
                throw KyvernoRequestError("\(path).\(name) is \(value.kind), expected PEM")
            }
            // Kyverno's policies leave the one that they do not use empty.
            guard text.utf8.contains(where: { $0 > 0x20 }) else { continue }
            do {
                for certificate in try Certificate.parsePEM(Array(text.utf8)) { found.insert(certificate.sha256Hex) }
            } catch { throw KyvernoRequestError("\(path).\(name) does not hold certificates in PEM: \(error)") }
        }
        guard !found.isEmpty else {
            throw KyvernoRequestError("\(path) holds no certificate: expected cert, certChain")
        }
        guard found.count <= 100 else { throw KyvernoRequestError("\(path) holds more than 100 certificates") }
        return found
    }

    /// Whether a report is about a good signature that has all of this.
    func isSatisfied(by report: VerifierReport) -> Bool {
        // A waiver is a good report too, but nobody has signed.
        guard report.isSuccess, report.referenceDigest != nil else { return false }
        if let verifier, !(report.verifierName ?? "").utf8.elementsEqual(verifier.utf8) { return false }
        // A report that names nobody satisfies no pattern, not even one for everybody.
        if let subject, report.extensions["SN"]?.string.map(subject.matches) != true { return false }
        if let issuer, report.extensions["Issuer"]?.string.map(issuer.matches) != true { return false }
        if let certificates, certificates.isDisjoint(with: report.signingChain) { return false }
        return true
    }

    /// What is asked for, for a person.
    var description: String {
        var parts: [String] = []
        if let verifier { parts.append("verifier \"\(verifier.quoted)\"") }
        if let subject { parts.append("subject \"\(subject.text.quoted)\"") }
        if let issuer { parts.append("issuer \"\(issuer.text.quoted)\"") }
        if let certificates {
            parts.append(
                "a certificate with SHA-256 "
                    + certificates.sorted().map { String($0.prefix(16)) + "…" }
                    .prefix(3).joined(separator: " or "))
        }
        return parts.joined(separator: " and ")
    }
}
