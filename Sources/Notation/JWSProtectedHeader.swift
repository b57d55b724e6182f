import FoundationEssentials
import Quotation
import StrictJSON

/// The protected header of a JWS envelope (JWS envelope specification, "Protected Headers").
struct JWSProtectedHeader {
    /// The names that are known; every other one is an extended attribute.
    static let names = [
        "alg", "cty", "crit", NotaryName.expiry, NotaryName.signingTime, NotaryName.signingScheme,
        NotaryName.authenticSigningTime,
    ]

    let algorithm: SigningAlgorithm
    let attributes: SignedAttributes

    init(_ object: JSONObject) throws(EnvelopeError) {
        guard let name = object["alg"]?.string else { throw EnvelopeError(.header, "\"alg\" is missing") }
        // Exactly one of six: never "none", never a symmetric algorithm.
        guard let algorithm = SigningAlgorithm(rawValue: name) else {
            throw EnvelopeError(
                .header,
                "the algorithm \"\(name.quoted)\" is not supported; expected one of "
                    + SigningAlgorithm.allCases.map(\.jwsName).joined(separator: ", "))
        }
        self.algorithm = algorithm
        guard let contentType = object["cty"]?.string else { throw EnvelopeError(.header, "\"cty\" is missing") }
        guard let schemeName = object[NotaryName.signingScheme]?.string else {
            throw EnvelopeError(.header, "the signing scheme (\"\(NotaryName.signingScheme)\") is missing")
        }
        guard let scheme = SigningScheme(rawValue: schemeName) else {
            throw EnvelopeError(.header, "the signing scheme \"\(schemeName.quoted)\" is not supported")
        }
        let signingTime = try Self.time(object, NotaryName.signingTime)
        let authenticTime = try Self.time(object, NotaryName.authenticSigningTime)
        // The zero time stands for none in the reference implementation.
        let expiry = try Self.time(object, NotaryName.expiry).flatMap { $0 == RFC3339.zero ? nil : $0 }

        // Signature specification, "Standard attributes": each of the two times is valid under one scheme only.
        let time: Date?
        switch scheme {
        case .x509:
            guard authenticTime == nil else { throw Self.misplaced(NotaryName.authenticSigningTime, scheme) }
            time = signingTime
        case .x509SigningAuthority:
            guard signingTime == nil else { throw Self.misplaced(NotaryName.signingTime, scheme) }
            time = authenticTime
        }
        guard let time else { throw EnvelopeError(.header, "the signing time is missing") }

        let critical = try Self.critical(object, scheme: scheme, hasExpiry: expiry != nil)
        var extended: [ExtendedAttribute] = []
        for member in object.members where !Self.names.contains(member.name) {
            extended.append(
                ExtendedAttribute(
                    name: member.name, isCritical: critical.contains(member.name), text: member.value.string))
        }
        attributes = SignedAttributes(
            signingScheme: scheme, signingTime: time, expiry: expiry, contentType: contentType, extended: extended)
    }

    /// RFC 7515, section 4.1.11, and the JWS envelope specification: `crit` is there, names the signing scheme, and the
    /// other two critical headers when they are there; it names nothing twice, nothing that is absent, and no header of
    /// RFC 7515 itself.
    private static func critical(
        _ object: JSONObject, scheme: SigningScheme, hasExpiry: Bool
    ) throws(EnvelopeError) -> [String] {
        guard let critical = object["crit"]?.strings, !critical.isEmpty else {
            throw EnvelopeError(.header, "\"crit\" is missing, empty or not an array of strings")
        }
        var required = [NotaryName.signingScheme]
        if hasExpiry { required.append(NotaryName.expiry) }
        if scheme == .x509SigningAuthority { required.append(NotaryName.authenticSigningTime) }
        var seen: [String] = []
        for name in critical {
            guard !seen.contains(name) else {
                throw EnvelopeError(.header, "\"crit\" names \"\(name.quoted)\" twice")
            }
            seen.append(name)
            if required.contains(name) { continue }
            guard !names.contains(name), object[name] != nil else {
                throw EnvelopeError(
                    .header, "\"crit\" names \"\(name.quoted)\", which is absent or may not be named there")
            }
        }
        if let missing = required.first(where: { !critical.contains($0) }) {
            throw EnvelopeError(.header, "\"\(missing)\" is not marked critical")
        }
        return critical
    }

    /// A time; `null` is the same as none.
    private static func time(_ object: JSONObject, _ name: String) throws(EnvelopeError) -> Date? {
        guard let value = object[name], !value.isNull else { return nil }
        guard let text = value.string, let time = RFC3339.parse(text) else {
            throw EnvelopeError(.header, "\"\(name)\" is not a date and time of RFC 3339")
        }
        return time
    }

    private static func misplaced(_ name: String, _ scheme: SigningScheme) -> EnvelopeError {
        EnvelopeError(.header, "\"\(name)\" may not be there under the signing scheme \(scheme.rawValue)")
    }
}
