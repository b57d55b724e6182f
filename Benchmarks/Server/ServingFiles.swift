import FoundationEssentials
import Notation
import PKI
import StrictJSON
import TestSupport

/// Everything `countersign serve` reads, in a directory: certificates, configuration, signed images in a layout.
struct ServingFiles: Sendable {
    static let repository = "registry.example.com/shop/web"
    private static let signatureType = "application/vnd.cncf.notary.signature"

    let directory: String
    /// What plays Gatekeeper.
    let client: Gatekeeper.Identity
    /// The images in the layout, each with one signature.
    let images: [String]
    /// What the layout's images are signed with: an RSA-2048 key whose chain has three certificates, as in the
    /// measurements of others that figures are compared with.
    let signer: EnvelopeSigner
    /// Signs in a tenth of the time, for images by the hundred thousand; a chain of three, too.
    let quickSigner: EnvelopeSigner
    /// The authority of ``signer``.
    let root: Certificate
    private let roots: String

    /// Makes certificates and an image layout of `count` signed images.
    init(directory: String, count: Int, countersign: String) async throws {
        self.directory = directory
        let provider = try CertificateAuthority(name: "provider")
        let server = try provider.issue(.server("localhost"), key: .ec(.p256))
        // Gatekeeper makes an RSA key for its authority, as for its certificate.
        let gatekeeper = try CertificateAuthority(name: "gatekeeper-ca", key: .rsa(bits: 2048))
        let client = try gatekeeper.issue(
            .client("gatekeeper-webhook-service.gatekeeper-system.svc"), key: .rsa(bits: 2048))
        let release = try CertificateAuthority(name: "release", key: .rsa(bits: 2048))
            .intermediate("release issuing", key: .rsa(bits: 2048)).issue(.codeSigning("signer"), key: .rsa(bits: 2048))
        let quick = try CertificateAuthority(name: "quick").intermediate("quick issuing").issue(.codeSigning("signer"))
        self.client = Gatekeeper.Identity(
            providerAuthority: provider.certificate.pem, clientChain: client.chainPEM, clientKey: try client.keyPEM)
        signer = try EnvelopeSigner(key: release.key, chain: release.chain)
        quickSigner = try EnvelopeSigner(key: quick.key, chain: quick.chain)
        root = release.chain[release.chain.count - 1]
        roots = release.chain[release.chain.count - 1].pem + quick.chain[quick.chain.count - 1].pem

        try ServingFiles.makeDirectory(directory + "/tls")
        try ServingFiles.write(server.chainPEM, to: directory + "/tls/tls.crt")
        try ServingFiles.write(server.keyPEM, to: directory + "/tls/tls.key")
        try ServingFiles.write(gatekeeper.certificate.pem, to: directory + "/gatekeeper-ca.crt")
        try ServingFiles.write(release.chainPEM, to: directory + "/release.chain")
        try ServingFiles.write(release.keyPEM, to: directory + "/release.key")
        // For the load generator as a command of its own.
        try ServingFiles.write(self.client.providerAuthority, to: directory + "/provider-ca.crt")
        try ServingFiles.write(self.client.clientChain, to: directory + "/client.crt")
        try ServingFiles.write(self.client.clientKey, to: directory + "/client.key")

        images = try BenchmarkLayout(directory: directory + "/layout").addImages(count)
            .map { "\(ServingFiles.repository):\($0)" }
        for image in images {
            try await ServerProcess.run(
                countersign,
                [
                    "sign", image, "--oci-layout", directory + "/layout", "--key", directory + "/release.key",
                    "--certificate-chain", directory + "/release.chain",
                ], log: directory + "/sign.log")
        }
        try ServingFiles.write(
            configuration(store: ["name": "oci-layout", "path": .string(directory + "/layout")]).prettyText,
            to: layoutConfiguration)
        try ServingFiles.write(configuration(store: ["name": "oras"]).prettyText, to: registryConfiguration)
    }

    /// Verifies images of the layout.
    var layoutConfiguration: String { directory + "/config.json" }
    /// Verifies images of registries.
    var registryConfiguration: String { directory + "/registry.json" }

    /// The arguments of `countersign serve`; info log, as it ships.
    func arguments(port: Int, healthPort: Int, configuration: String) -> [String] {
        [
            "serve", "--http", "127.0.0.1:\(port)", "-c", configuration, "--cert-dir", directory + "/tls",
            "--ca-cert-file", directory + "/gatekeeper-ca.crt", "--cache-ttl", "10s",
            "--health-port", "127.0.0.1:\(healthPort)", "--metrics-port", "127.0.0.1:0",
        ]
    }

    /// The trust policy of all configurations.
    static let trustPolicy: JSONValue = [
        "version": "1.0",
        "trustPolicies": [
            [
                "name": "shop", "registryScopes": ["*"], "signatureVerification": ["level": "strict"],
                "trustStores": ["ca:shop"],
                "trustedIdentities": ["x509.subject: C=US, ST=WA, O=Countersign Tests"],
            ]
        ],
    ]

    private func configuration(store: JSONValue) -> JSONValue {
        [
            "store": ["version": "1.0.0", "plugins": [store]],
            "keyManagementProvider": [
                "plugins": [
                    ["name": "shop-ca", "type": "inline", "contentType": "certificate", "value": .string(roots)]
                ]
            ],
            "verifier": [
                "version": "1.0.0",
                "plugins": [
                    [
                        "name": "notation", "artifactTypes": .string(ServingFiles.signatureType),
                        "verificationCertStores": ["ca": ["shop": ["shop-ca"]]],
                        "trustPolicyDoc": Self.trustPolicy,
                    ]
                ],
            ],
            "policy": [
                "version": "1.0.0",
                "plugin": [
                    "name": "configPolicy",
                    "artifactVerificationPolicies": .object([ServingFiles.signatureType: "any"]),
                ],
            ],
        ]
    }

    static func makeDirectory(_ path: String) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    static func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }

    static func write(_ bytes: [UInt8], to path: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else {
            throw BenchmarkError("cannot write \(path)")
        }
    }
}
