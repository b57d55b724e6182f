import KeyManagement

/// A provider of trusted certificates that looks at its source for as long as somebody holds this.
final class RunningProvider: Sendable {
    let provider: any CertificateProvider
    private let running: Task<Void, Never>

    init(_ provider: any CertificateProvider) {
        self.provider = provider
        running = Task { await provider.run() }
    }

    deinit { running.cancel() }
}
