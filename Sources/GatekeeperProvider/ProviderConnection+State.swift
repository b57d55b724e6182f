extension ProviderConnection {
    /// What a connection is at.
    enum State {
        /// Between two requests.
        case between
        /// It is being found out who asks.
        case admitting(Request)
        /// The body is coming.
        case receiving(Request, AwaitedBody, [UInt8])
        /// The answer is written, and the rest of the body is read and dropped.
        case dropping(isLast: Bool)
        /// The request is whole, its answer takes a while.
        case answering(Request)
        /// Nothing more is answered.
        case closing

        /// Whether more is to come of a request.
        var isInBody: Bool {
            switch self {
            case .admitting, .receiving, .dropping: true
            case .between, .answering, .closing: false
            }
        }
    }
}
