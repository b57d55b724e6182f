import FoundationEssentials
import Kubernetes
import Logging
import ProviderServer
import ServiceLifecycle

/// What of the server's certificates comes from the cluster, as the command line and Ratify's environment say.
package struct ClusterCertificateSettings: Sendable, Hashable {
    /// The Secret of the authority of client certificates, `NAMESPACE/NAME`.
    package var authoritySecret: ResourceKey?
    /// The Provider objects whose `caBundle` rotation keeps.
    package var providers = ["ratify-provider", "ratify-mutation-provider"]

    /// Nothing from the cluster.
    package init() {}

    /// Whether the serving certificate is made and rotated here: `RATIFY_CERT_ROTATION`.
    static func rotates(_ environment: [String: String]) -> Bool {
        ["true", "1"].contains((environment["RATIFY_CERT_ROTATION"] ?? "").lowercased())
    }
}

/// Brings certificates from the cluster to the server, for as long as it runs.
struct ClusterCertificates: Service {
    private let client: KubernetesClient
    private var rotation: CertificateRotation?
    private var authority: WatchedAuthority?

    /// Puts what comes from the cluster into the server's configuration; `nil` when nothing does.
    init?(
        _ settings: ClusterCertificateSettings, provider: inout ProviderConfiguration, environment: [String: String],
        logger: Logger
    ) throws(CountersignServerError) {
        let rotates = ClusterCertificateSettings.rotates(environment)
        guard rotates || settings.authoritySecret != nil else { return nil }
        guard rotates || provider.certificates != nil else {
            throw CountersignServerError(
                description: "--ca-cert-secret has no meaning without --cert-dir: plain HTTP has no client certificates"
            )
        }
        do { client = try KubernetesClient(.automatic(environment: environment)) { logger.notice("\($0)") } } catch {
            throw CountersignServerError(
                description:
                    "certificates are to come from the cluster (RATIFY_CERT_ROTATION, --ca-cert-secret), and it cannot be reached: \(error)"
            )
        }
        let notice: @Sendable (CertificateRotation.Notice) -> Void = { notice in
            let level: Logger.Level =
                switch notice.level {
                case .notice: .notice
                case .warning: .warning
                case .error: .error
                }
            logger.log(level: level, "\(notice.text)")
        }
        if rotates {
            let namespace = environment["RATIFY_NAMESPACE"] ?? ""
            let name = environment["RATIFY_NAME"] ?? ""
            guard !namespace.isEmpty, !name.isEmpty else {
                throw CountersignServerError(
                    description:
                        "RATIFY_CERT_ROTATION needs RATIFY_NAMESPACE and RATIFY_NAME: the namespace and name of the Service, whose certificate is made"
                )
            }
            let held = HeldPEM(name: "the serving certificate of Secret \(namespace)/\(name)-tls")
            // What is mounted serves until the cluster answers.
            let mounted = ClusterCertificates.mounted(provider.certificates)
            if !mounted.isEmpty { held.set(mounted) }
            provider.certificates = ServingCertificateFiles(
                held: held, clientAuthorities: provider.certificates?.clientAuthorities ?? [])
            rotation = CertificateRotation(
                client: client, namespace: namespace, name: name, providers: settings.providers, held: mounted,
                install: { held.set($0) }, notice: notice)
        }
        if let key = settings.authoritySecret {
            let held = HeldPEM(name: "the authority of clients of Secret \(key)")
            provider.certificates?.clientAuthorities.append(.held(held))
            authority = WatchedAuthority(client: client, key: key, install: { held.set($0) }, notice: notice)
        }
    }

    /// Certificate and key of the files; empty when there are none that fit each other.
    private static func mounted(_ files: ServingCertificateFiles?) -> [UInt8] {
        guard let files, case .file(let certificate) = files.certificate, case .file(let key) = files.key,
            let chain = try? Data(contentsOf: URL(filePath: certificate)),
            let secret = try? Data(contentsOf: URL(filePath: key))
        else { return [] }
        let text = [UInt8](chain) + [0x0A] + [UInt8](secret)
        return CertificateRotation.isUsable(text) ? text : []
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                if let rotation { group.addTask { await rotation.run() } }
                if let authority { group.addTask { await authority.run() } }
            }
        }
        await client.shutdown()
    }
}
