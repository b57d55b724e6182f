extension OCSPResponse {
    /// The certificate of the delegated responder that signed a response which ``verify(for:issuer:at:)`` accepted;
    /// `nil` when the issuer itself did.
    public func delegate(of issuer: Certificate) -> Certificate? {
        responderID.matches(issuer) ? nil : certificates.first(where: responderID.matches)
    }
}
