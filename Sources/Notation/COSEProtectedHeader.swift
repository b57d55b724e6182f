import FoundationEssentials
import Quotation

/// The protected header of a COSE envelope (COSE envelope specification, "Protected Header").
///
/// Two rules are wider than in JWS, as in the reference verifier: `crit` may name a label twice and may name labels
/// that need not be there, such as `alg`; and a time that belongs to the other signing scheme is not looked at.
struct COSEProtectedHeader {
    let algorithm: SigningAlgorithm
    let attributes: SignedAttributes

    init(_ map: CBORMap) throws(EnvelopeError) {
        guard let label = map[1] else { throw EnvelopeError(.header, "the algorithm (label 1) is missing") }
        guard let number = label.integer, let algorithm = SigningAlgorithm(coseLabel: number) else {
            throw EnvelopeError(
                .header,
                "the algorithm \(COSEHeaderRules.text(label)) is not supported; expected one of "
                    + SigningAlgorithm.allCases.map { "\($0.coseLabel) (\($0))" }.joined(separator: ", "))
        }
        self.algorithm = algorithm
        guard let contentType = map[3]?.text else {
            throw EnvelopeError(.header, "the content type (label 3) is missing or not a text")
        }
        guard let schemeName = map[NotaryName.signingScheme]?.text else {
            throw EnvelopeError(.header, "the signing scheme (\"\(NotaryName.signingScheme)\") is missing")
        }
        guard let scheme = SigningScheme(rawValue: schemeName) else {
            throw EnvelopeError(.header, "the signing scheme \"\(schemeName.quoted)\" is not supported")
        }
        let critical = map[2]?.array ?? []
        var required = [NotaryName.signingScheme]
        if scheme == .x509SigningAuthority { required.append(NotaryName.authenticSigningTime) }
        if map[NotaryName.expiry] != nil { required.append(NotaryName.expiry) }
        if let missing = required.first(where: { !critical.contains(.text($0)) }) {
            throw EnvelopeError(.header, "\"\(missing)\" is not marked critical")
        }
        let timeName = scheme == .x509 ? NotaryName.signingTime : NotaryName.authenticSigningTime
        guard let time = try Self.time(map, timeName) else {
            throw EnvelopeError(.header, "the signing time (\"\(timeName)\") is missing")
        }
        attributes = SignedAttributes(
            signingScheme: scheme, signingTime: time, expiry: try Self.time(map, NotaryName.expiry),
            contentType: contentType, extended: Self.extended(map, critical))
    }

    private static let known: [CBORValue] = [
        .integer(1), .integer(2), .integer(3), .text(NotaryName.expiry), .text(NotaryName.signingScheme),
        .text(NotaryName.signingTime), .text(NotaryName.authenticSigningTime),
    ]

    private static func extended(_ map: CBORMap, _ critical: [CBORValue]) -> [ExtendedAttribute] {
        map.entries.filter { !known.contains($0.key) }.map { entry in
            ExtendedAttribute(
                name: entry.key.text ?? entry.key.integer.map { String($0) } ?? "?",
                isCritical: critical.contains(entry.key), text: entry.value.text)
        }
    }

    /// An epoch-based time: RFC 8949, section 3.4.2, tag 1, with an integer or a finite float.
    private static func time(_ map: CBORMap, _ name: String) throws(EnvelopeError) -> Date? {
        switch map[name] {
        case nil: return nil
        case .tagged(1, .integer(let seconds)): return Date(timeIntervalSince1970: Double(seconds))
        case .tagged(1, .float(let seconds)) where seconds.isFinite: return Date(timeIntervalSince1970: seconds)
        default: throw EnvelopeError(.header, "\"\(name)\" is not an epoch-based time (tag 1)")
        }
    }
}
