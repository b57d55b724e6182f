/// Why a trusted root cannot be used. It is no step of a verification: without a trusted root there is none.
public struct TrustedRootError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What happened, where and what to do, for a person.
    public let description: String

    init(_ description: String) { self.description = description }

    init(_ fault: ProtobufMessage.Fault) {
        self.init("the trusted root cannot be used: \(fault.description)")
    }
}
