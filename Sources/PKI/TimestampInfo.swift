import FoundationEssentials

/// What a timestamp authority signs (RFC 3161, section 2.4.2): TSTInfo.
public struct TimestampInfo: Hashable, Sendable {
    /// The policy under which the timestamp was made.
    public let policy: String
    /// The hash function of the message imprint; nil when it is not known here.
    public let imprintHash: HashAlgorithm?
    /// The hash of what was timestamped.
    public let imprint: [UInt8]
    /// The content octets of the timestamp's serial number.
    public let serialNumber: [UInt8]
    /// The time.
    public let time: Date
    /// How far the time may be off, in seconds; nil where it does not say.
    public let statedAccuracy: TimeInterval?
    /// The content octets of the number that the request had.
    public let nonce: [UInt8]?
    /// Critical extensions: none is understood.
    public let criticalExtensions: [String]

    /// How far the time may be off, in seconds. Where it does not say: 1 second under the baseline policy that asks for
    /// that at least (ETSI EN 319 421, section 7.7.1, policy 0.4.0.2023.1.1), else nothing.
    public var accuracy: TimeInterval { statedAccuracy ?? (policy == "0.4.0.2023.1.1" ? 1 : 0) }
    /// The first moment that the time may stand for.
    public var earliest: Date { time.addingTimeInterval(-accuracy) }
    /// The last moment that the time may stand for.
    public var latest: Date { time.addingTimeInterval(accuracy) }

    init(_ der: ArraySlice<UInt8>) throws(PKIError) {
        var outer = DERReader(der)
        var fields = try outer.sequence()
        try outer.end()
        guard try fields.smallInteger() == 1 else {
            throw PKIError(.unsupported, "the version of its TSTInfo is not 1")
        }
        policy = try fields.objectIdentifier()
        var imprintFields = try fields.sequence()
        imprintHash = try SignatureAlgorithm.hashIdentifier(imprintFields.element(DER.sequence))
        imprint = Array(try imprintFields.octetString())
        try imprintFields.end()
        serialNumber = Array(try fields.integer())
        time = try TimestampInfo.time(fields.element(DER.generalizedTime).content)
        if let element = try fields.optional(DER.sequence) {
            statedAccuracy = try TimestampInfo.accuracy(element.reader)
        } else {
            statedAccuracy = nil
        }
        if fields.nextTag == DER.boolean { _ = try fields.boolean() }
        nonce = fields.nextTag == DER.integer ? Array(try fields.integer()) : nil
        _ = try fields.optional(DER.contextConstructed(0))
        if let element = try fields.optional(DER.contextConstructed(1)) {
            // The tag replaces that of the SEQUENCE, whose content is the same.
            criticalExtensions = try CertificateExtension.list(element).filter(\.isCritical).map(\.oid)
        } else {
            criticalExtensions = []
        }
        try fields.end()
    }

    /// A GeneralizedTime that may have a fraction of a second, without zeros at its end (RFC 3161, section 2.4.2).
    private static func time(_ content: ArraySlice<UInt8>) throws(PKIError) -> Date {
        guard content.count >= 15, content.count <= 32, content.last == UInt8(ascii: "Z") else {
            throw DER.fault("has a time that is not YYYYMMDDHHMMSS[.f]Z")
        }
        var digits = content.prefix(14)
        let fraction = content.dropFirst(14).dropLast()
        digits.append(UInt8(ascii: "Z"))
        let year = try DER.number(&digits, 4)
        let whole = try DER.time(year: year, &digits, zone: DER.generalizedTime)
        guard !fraction.isEmpty else { return whole }
        guard fraction.first == UInt8(ascii: "."), fraction.count > 1, fraction.last != UInt8(ascii: "0") else {
            throw DER.fault("has a time with a fraction that is not in its shortest form")
        }
        var value = 0.0
        var scale = 0.1
        for digit in fraction.dropFirst() {
            guard (0x30...0x39).contains(digit) else { throw DER.fault("has a time with something else than digits") }
            value += Double(digit - 0x30) * scale
            scale /= 10
        }
        return whole.addingTimeInterval(value)
    }

    private static func accuracy(_ reader: DERReader) throws(PKIError) -> TimeInterval {
        var fields = reader
        var seconds = 0.0
        if fields.nextTag == DER.integer { seconds = Double(try fields.smallInteger()) }
        for (number, unit) in [(UInt8(0), 1_000.0), (1, 1_000_000)] {
            guard let element = try fields.optional(DER.context(number)) else { continue }
            let value = try DER.smallInteger(DER.integerContent(element.content))
            guard (1...999).contains(value) else { throw DER.fault("has an accuracy with a part that is not 1 to 999") }
            seconds += Double(value) / unit
        }
        try fields.end()
        return seconds
    }
}
