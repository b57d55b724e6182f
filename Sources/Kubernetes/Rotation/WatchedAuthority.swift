import Encoding
import StrictJSON

/// Certificates of an authority in a Secret, `ca.crt`, as they are now: Gatekeeper keeps its own there.
package struct WatchedAuthority: Sendable {
    private let client: KubernetesClient
    private let key: ResourceKey
    private let install: @Sendable ([UInt8]) -> Void
    private let notice: @Sendable (CertificateRotation.Notice) -> Void

    /// A watch that does nothing before ``run()``.
    ///
    /// - Parameter install: told each new text.
    package init(
        client: KubernetesClient, key: ResourceKey, install: @escaping @Sendable ([UInt8]) -> Void,
        notice: @escaping @Sendable (CertificateRotation.Notice) -> Void
    ) {
        self.client = client
        self.key = key
        self.install = install
        self.notice = notice
    }

    /// Follows the Secret until its task is cancelled. What was there last stays in force while it is missing or
    /// broken.
    package func run() async {
        var outage = Outage()
        func report(_ problem: String, cause: String? = nil) {
            guard !Task.isCancelled else { return }
            let text = "the authority of clients in Secret \(key): \(problem)"
            switch outage.fails(cause ?? problem) {
            case .begun: notice(.init(level: .error, text: text))
            case .goesOn: notice(.init(level: .warning, text: "\(text); this lasts"))
            case .quiet: break
            }
        }
        func recover() {
            guard let lasted = outage.ends() else { return }
            notice(
                .init(
                    level: .notice,
                    text: "the authority of clients in Secret \(key): is read again, after \(lasted.inSeconds)"))
        }
        /// Whether what was read last is in force.
        var isUsable = false
        let selection = ResourceSelection(namespace: key.namespace, name: key.name)
        for await event in client.watch(.secret, selection) {
            let secret: JSONObject?
            switch event {
            case .synced(let objects): secret = objects.first
            case .changed(let object): secret = object
            case .deleted: secret = nil
            case .resumed:
                if isUsable { recover() }
                continue
            case .failed(let error):
                report(error.description, cause: error.detail)
                continue
            }
            isUsable = false
            guard let secret else {
                report("it is not there; what was there last stays in force")
                continue
            }
            guard let text = secret["data"]?["ca.crt"]?.string,
                let data = Base64.decode(text, allowsLeftoverBits: true),
                !ServingSecret.certificates(data).isEmpty
            else {
                report("ca.crt holds no certificates in PEM; what was there last stays in force")
                continue
            }
            isUsable = true
            recover()
            install(data)
        }
    }
}
