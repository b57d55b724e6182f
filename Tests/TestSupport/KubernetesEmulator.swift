import Foundation
import Kubernetes
import NIOCore
import PKI
import StrictJSON
import Synchronization

/// A Kubernetes API server in the test's process, with real TLS on loopback: objects of any registered type with
/// resource versions, pages, watches, bookmarks, conflicts, status subresources, merge patches and token reviews; and
/// switches for what goes wrong. `kubectl` works with it.
///
/// ```swift
/// let cluster = try await KubernetesEmulator.start()
/// cluster.put(.secret, ["metadata": ["name": "a", "namespace": "default"]])
/// let client = try KubernetesClient(cluster.configuration())
/// …
/// await cluster.stop()
/// ```
///
/// Not like a real one: no schemas or defaults (but what ``admit(_:)`` says), no finalizers and owner references,
/// strategic merge patches are taken for merge patches, HTTP/1.1 only.
package final class KubernetesEmulator: Sendable {
    /// Who a token belongs to.
    package struct User: Sendable {
        package var name: String
        package var uid: String
        package var groups: [String]
        package var audiences: [String]

        package init(
            _ name: String, uid: String = "uid-1", groups: [String] = ["system:authenticated"],
            audiences: [String] = [KubernetesEmulator.audience]
        ) {
            self.name = name
            self.uid = uid
            self.groups = groups
            self.audiences = audiences
        }
    }

    /// What goes wrong with a request.
    package enum Fault: Sendable {
        /// This status instead of an answer.
        case status(Int, retryAfter: Int? = nil)
        /// The answer comes later.
        case delay(Duration)
        /// The connection is closed instead of an answer.
        case reset
        /// Status 200 with this text.
        case garbage(String)
        /// The change is made, and then the connection closed without an answer.
        case lostAnswer
    }

    struct Change: Sendable {
        let version: UInt64
        let type: ResourceType
        let kind: String
        let object: JSONObject
        let former: JSONObject?
    }

    struct State {
        var types: [ResourceType] = KubernetesEmulator.builtIn
        /// Types whose status is a subresource.
        var withStatus: Set<ResourceType> = []
        var objects: [ResourceType: [ResourceKey: JSONObject]] = [:]
        var version: UInt64 = 1
        var history: [Change] = []
        /// Changes up to this version are forgotten.
        var compacted: UInt64 = 0
        var users: [String: User]
        var requests: [EmulatorRequest] = []
        var faults: [(matches: @Sendable (EmulatorRequest) -> Bool, fault: Fault, left: Int?)] = []
        var forbidden: [@Sendable (String, ResourceType, ResourceKey) -> Bool] = []
        var admission: (@Sendable (ResourceType, JSONObject) -> String?)?
        var watchers: [Int: EmulatedWatcher] = [:]
        var watchersMade = 0
    }

    /// The audience of tokens for the API server itself.
    package static let audience = "https://kubernetes.default.svc"

    /// The authority that vouches for the emulator, as PEM.
    package let authorityPEM: String
    /// The port; it stays over ``down()`` and ``up()``.
    package var port: Int { server.port }
    /// A token that may do everything.
    package let token = "eyJhbGciOiJub25lIn0.emulator-administrator.signature"
    let state: Mutex<State>
    let server: EmulatorServer
    let authority: CertificateAuthority

    private init(_ authority: CertificateAuthority, _ server: EmulatorServer) {
        self.authority = authority
        self.server = server
        authorityPEM = authority.certificate.pem
        state = Mutex(State(users: [token: User("administrator", groups: ["system:masters"])]))
        for name in ["default", "kube-system"] { put(.namespace, ["metadata": ["name": .string(name)]]) }
    }

    /// Starts an API server.
    ///
    /// - Parameters:
    ///   - requiresClientCertificate: whether only clients with a certificate of ``clientIdentity(_:)`` may connect;
    ///     they may do everything without a token.
    ///   - port: 0: the system chooses.
    package static func start(
        requiresClientCertificate: Bool = false, serverNames: [String] = ["localhost"], port: Int = 0
    ) async throws -> KubernetesEmulator {
        let authority = try CertificateAuthority(name: "cluster authority")
        let identity = try authority.issue(.server("kube-apiserver", dns: serverNames))
        let emulator = KubernetesEmulator(
            authority,
            try EmulatorServer(
                tls: (identity.chainPEM, identity.keyPEM),
                clientAuthority: requiresClientCertificate ? authority.certificate.pem : nil))
        if requiresClientCertificate { emulator.state.withLock { $0.users[""] = User("client") } }
        try await emulator.up(port: port)
        return emulator
    }

    // MARK: For tests

    /// `https://127.0.0.1:port`
    package var url: String { "https://127.0.0.1:\(port)" }

    /// A client's configuration.
    package func configuration(token: String? = nil, namespace: String = "default") throws -> KubernetesConfiguration {
        try KubernetesConfiguration(
            server: url, authorities: .pem(Array(authorityPEM.utf8)), credentials: .token(token ?? self.token),
            namespace: namespace, source: "emulator", environment: [:])
    }

    /// A client with short waits.
    package func client(_ change: (inout KubernetesClient.Options) -> Void = { _ in }) throws -> KubernetesClient {
        var options = KubernetesClient.Options()
        options.timeout = .seconds(10)
        options.backoff = Backoff(base: .milliseconds(20), maximum: .milliseconds(200))
        options.refusalBackoff = options.backoff
        change(&options)
        return try KubernetesClient(configuration(), options: options)
    }

    /// Writes a kubeconfig and gives its path.
    @discardableResult
    package func writeKubeconfig(to path: String, token: String? = nil) throws -> String {
        let text = """
            apiVersion: v1
            kind: Config
            current-context: emulator
            contexts:
            - name: emulator
              context: {cluster: emulator, user: administrator, namespace: default}
            clusters:
            - name: emulator
              cluster:
                server: \(url)
                certificate-authority-data: \(Data(authorityPEM.utf8).base64EncodedString())
            users:
            - name: administrator
              user: {token: "\(token ?? self.token)"}

            """
        try Data(text.utf8).write(to: URL(filePath: path))
        return path
    }

    /// Writes what a pod has at `/var/run/secrets/kubernetes.io/serviceaccount` into a directory, and gives the
    /// environment that goes with it.
    package func writeServiceAccount(to directory: String, token: String? = nil) throws -> [String: String] {
        let folder = URL(filePath: directory)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data((token ?? self.token).utf8).write(to: folder.appending(path: "token"))
        try Data(authorityPEM.utf8).write(to: folder.appending(path: "ca.crt"))
        try Data("countersign-system".utf8).write(to: folder.appending(path: "namespace"))
        return ["KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": String(port)]
    }

    /// A certificate with its key that the emulator accepts from clients.
    package func clientIdentity(_ name: String) throws -> Identity { try authority.issue(.client(name)) }

    /// Makes a type known, as a CustomResourceDefinition does.
    package func register(_ type: ResourceType, hasStatus: Bool = true) {
        state.withLock { $0.register(type, hasStatus: hasStatus) }
    }

    /// Lets a token in, as another user.
    package func add(token: String, _ user: User) { state.withLock { $0.users[token] = user } }

    /// Refuses a token from now on.
    package func revoke(token: String) { state.withLock { $0.users[token] = nil } }

    /// Forbids requests of every user but those of `system:masters`: verb (`get`, `list`, …), type, and the object's
    /// key with an empty name for lists.
    package func forbid(_ rule: @escaping @Sendable (_ verb: String, ResourceType, ResourceKey) -> Bool) {
        state.withLock { $0.forbidden.append(rule) }
    }

    /// Refuses objects for which this gives a reason, as validation by a schema or a webhook does.
    package func admit(_ check: @escaping @Sendable (ResourceType, JSONObject) -> String?) {
        state.withLock { $0.admission = check }
    }

    /// Makes or replaces an object, status included, as if another client did. Gives it as it is kept.
    @discardableResult
    package func put(_ type: ResourceType, _ object: JSONObject) -> JSONObject {
        state.withLock { state in
            var object = object
            let key = object.resourceKey ?? ResourceKey(namespace: nil, name: "")
            let former = state.objects[type]?[key]
            object["apiVersion"] = .string(type.apiVersion)
            object["kind"] = .string(type.kind)
            KubernetesEmulator.complete(&object, former: former)
            return state.commit(type, key, former == nil ? "ADDED" : "MODIFIED", object, former)
        }
    }

    /// The object, as it is kept.
    package func object(_ type: ResourceType, _ name: String, namespace: String? = nil) -> JSONObject? {
        state.withLock { $0.objects[type]?[ResourceKey(namespace: namespace, name: name)] }
    }

    /// All objects of a type, by name.
    package func objects(_ type: ResourceType) -> [JSONObject] { state.withLock { $0.sorted(type).map(\.value) } }

    /// Deletes an object as if another client did.
    package func remove(_ type: ResourceType, _ name: String, namespace: String? = nil) {
        state.withLock { state in
            let key = ResourceKey(namespace: namespace, name: name)
            guard let former = state.objects[type]?[key] else { return }
            state.commit(type, key, "DELETED", former, former)
        }
    }

    /// Every request so far.
    package var requests: [EmulatorRequest] { state.withLock { $0.requests } }
    /// How many watches are open.
    package var openWatches: Int { state.withLock { $0.watchers.count } }
    /// How many connections were accepted so far.
    package var connections: Int { server.connections }

    /// Forgets the past: watches from an earlier version, and pages of earlier lists, get 410.
    package func compact() {
        state.withLock { state in
            state.compacted = state.version
            state.history = []
        }
    }

    /// Sends a bookmark to every watch that allows them.
    package func bookmark() { state.withLock { $0.watchers.values.forEach { $0.signal.yield(.bookmark) } } }

    /// Ends every watch in order, as an API server does when its time is over.
    package func endWatches() { state.withLock { $0.watchers.values.forEach { $0.signal.yield(.end) } } }

    /// Breaks the connection of every watch.
    package func dropWatches() {
        let channels = state.withLock { $0.watchers.values.map(\.channel) }
        for channel in channels { channel.close(promise: nil) }
    }

    /// Makes requests fail, `count` times or for good.
    package func inject(
        _ fault: Fault, count: Int? = nil, where matches: @escaping @Sendable (EmulatorRequest) -> Bool = { _ in true }
    ) {
        state.withLock { $0.faults.append((matches, fault, count)) }
    }

    /// Behaves again.
    package func clearFaults() { state.withLock { $0.faults = [] } }
}
