import Foundation
import TestSupport

/// What goes wrong during a soak, and passes.
struct SoakTrouble: Sendable {
    let registries: [FaultyRegistry]
    let responder: OpenSSLResponder
    let files: CommandFiles
    let tls: ServingFiles
    let tally: SoakTally

    private func pause(_ milliseconds: ClosedRange<Int>) async throws {
        try await Task.sleep(for: .milliseconds(Int.random(in: milliseconds)))
    }

    func injectFaults() async throws {
        let kinds: [RegistryFault.Kind] = [
            .tooManyRequests(retryAfter: nil), .tooManyRequests(retryAfter: "1"), .status(500), .status(503), .reset,
            .cutShort, .delay(.milliseconds(700)), .delay(.seconds(4)),
            .slowBody(bytes: 400, every: .milliseconds(150)),
        ]
        guard let registry = registries.randomElement(), let kind = kinds.randomElement() else { return }
        var paths = ["/v2/soak/manifests/*", "/v2/soak/referrers/*", "/v2/soak/blobs/*"]
        if registry.options.isProtected { paths.append("/token") }
        if Int.random(in: 0..<8) == 0 {
            // An outage of the whole registry.
            registry.inject(.status(503))
            tally.add { $0.injected += 1 }
            try await pause(500...2500)
            registry.clearFaults()
            return
        }
        guard let path = paths.randomElement() else { return }
        registry.inject(kind, path: path, count: Int.random(in: 1...20))
        registry.forgetRequests()
        tally.add { $0.injected += 1 }
        try await pause(50...1500)
        if Int.random(in: 0..<3) == 0 { registry.clearFaults() }
    }

    /// Down for a while, and up again.
    func takeDownTheResponder() async throws {
        try await pause(2000...5000)
        responder.stop()
        tally.add { $0.restarts += 1 }
        try await pause(500...3000)
        try await responder.start()
    }

    /// Tokens lose their worth before their time. A refusal of one that was made this moment would be a verdict.
    func revokeTokens() async throws {
        try await pause(6000...9000)
        for registry in registries where registry.options.isProtected { registry.revokeTokens(olderThan: .seconds(2)) }
        tally.add { $0.revocations += 1 }
    }

    /// The same configuration written anew, sometimes broken for a moment; the serving certificate written anew.
    func change() throws {
        let path = files.path("soak.json")
        let text = try String(contentsOfFile: path, encoding: .utf8)
        if Bool.random() { try Data(text.utf8.prefix(text.utf8.count / 2)).write(to: URL(filePath: path)) }
        // Another space is another configuration.
        try Data((text.hasSuffix(" ") ? String(text.dropLast()) : text + " ").utf8).write(
            to: URL(filePath: path), options: .atomic)
        let certificate = tls.directory + "/tls.crt"
        try Data(contentsOf: URL(filePath: certificate)).write(to: URL(filePath: certificate), options: .atomic)
        tally.add { $0.changes += 1 }
    }
}
