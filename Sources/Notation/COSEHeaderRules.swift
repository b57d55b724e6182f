import Quotation

/// What RFC 9052, section 3.1, says of the common header parameters, in either bucket.
enum COSEHeaderRules {
    static func check(protected: CBORMap, unprotected: CBORMap) throws(EnvelopeError) {
        try check(protected, isProtected: true)
        try check(unprotected, isProtected: false)
        // Section 3.1: IV and Partial IV exclude each other, wherever they are.
        let labels = protected.entries.map(\.key) + unprotected.entries.map(\.key)
        guard !(labels.contains(.integer(5)) && labels.contains(.integer(6))) else {
            throw EnvelopeError(.header, "the COSE header has both IV and Partial IV")
        }
        guard let critical = protected[2] else { return }
        guard let names = critical.array, !names.isEmpty else {
            throw EnvelopeError(.header, "crit is not an array with at least one label")
        }
        for name in names {
            guard Self.isLabel(name) else {
                throw EnvelopeError(.header, "crit names something that is neither a number nor a text")
            }
            guard protected[name] != nil else {
                throw EnvelopeError(.header, "crit names \(Self.text(name)), which is not in the protected header")
            }
        }
    }

    private static func check(_ map: CBORMap, isProtected: Bool) throws(EnvelopeError) {
        for entry in map.entries {
            guard isLabel(entry.key) else {
                throw EnvelopeError(.header, "a COSE header label is neither a number nor a text")
            }
            guard case .integer(let label) = entry.key else { continue }
            let isRight: Bool
            switch (label, entry.value) {
            case (1, .integer), (1, .text): isRight = true
            case (2, .array): isRight = isProtected
            case (3, .text), (16, .text): isRight = true
            case (3, .integer(let number)), (16, .integer(let number)): isRight = number >= 0
            case (4, .bytes), (5, .bytes), (6, .bytes): isRight = true
            // Countersignatures (RFC 9338) are never protected.
            case (7, .array), (11, .array), (9, .bytes), (12, .bytes): isRight = !isProtected
            case (1...7, _), (9, _), (11, _), (12, _), (16, _): isRight = false
            default: isRight = true
            }
            guard isRight else {
                let bucket = isProtected ? "protected" : "unprotected"
                throw EnvelopeError(
                    .header, "the \(bucket) COSE header parameter \(label) may not be there or has another type")
            }
        }
    }

    /// RFC 9052, section 1.5: a label is an integer or a text.
    private static func isLabel(_ value: CBORValue) -> Bool { value.integer != nil || value.text != nil }

    /// A label as text.
    static func text(_ label: CBORValue) -> String {
        label.text.map { "\"\($0.quoted)\"" } ?? label.integer.map { String($0) } ?? "?"
    }
}
