import Encoding
import FoundationEssentials
import PKI

/// When a key or an authority of the trusted root is to be trusted (`dev.sigstore.common.v1.TimeRange`). Both ends
/// belong to it, as to the validity of a certificate.
public struct ValidityPeriod: Hashable, Sendable, CustomStringConvertible {
    /// The first moment.
    public let start: Date
    /// The last moment; nil while there is none.
    public let end: Date?

    /// A period.
    public init(start: Date, end: Date? = nil) {
        self.start = start
        self.end = end
    }

    /// Whether a moment lies in it.
    public func contains(_ moment: Date) -> Bool {
        guard start <= moment else { return false }
        guard let end else { return true }
        return moment <= end
    }

    /// The period, for a person.
    public var description: String {
        "from \(UTC.text(start))" + (end.map { " to \(UTC.text($0))" } ?? " on")
    }

    /// Reads the member `validFor`. A start is required: without one nobody can tell whether something is trusted
    /// always or never.
    init(of message: ProtobufMessage) throws(ProtobufMessage.Fault) {
        let range = try message.requiredMessage("validFor")
        guard let start = try range.time("start") else { throw range.fault("the member \"start\" is missing") }
        let end = try range.time("end")
        if let end, end < start { throw range.fault("it ends before it starts") }
        self.init(start: start, end: end)
    }
}
