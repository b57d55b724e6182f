import Crypto
import Encoding
import Foundation
import PKI
import Sigstore
import StrictJSON
import TestSupport

/// A whole Sigstore instance in the test's process: an authority for certificates with its transparency log, Rekor v1
/// and v2, a timestamp authority, and a signer. Everything that it makes can be made wrong.
package struct TestInstance: Sendable {
    /// When everything of the instance begins to be valid.
    package static let beginning = Date(timeIntervalSince1970: 1_767_225_600)  // 2026-01-01T00:00:00Z
    /// When signatures are made.
    package static let signingTime = beginning.addingTimeInterval(86_400)

    package let name: String
    package let fulcio: TestSupport.CertificateAuthority
    package let certificateLogKey: PrivateKey
    package let rekorKey: PrivateKey
    package let rekor2Key: PrivateKey
    package let timestampSigner: Identity

    package init(_ name: String = "test") throws {
        self.name = name
        func authority(_ part: String) -> CertificateTemplate {
            var template = CertificateTemplate.authority("\(name) \(part)")
            template.notBefore = Self.beginning
            template.notAfter = Self.beginning.addingTimeInterval(3_650 * 86_400)
            return template
        }
        let root = try TestSupport.CertificateAuthority(authority("root"), key: .ec(.p384))
        fulcio = TestSupport.CertificateAuthority(try root.issue(authority("fulcio"), key: .ec(.p384)))
        let timestampRoot = try TestSupport.CertificateAuthority(authority("timestamp root"))
        var template = CertificateTemplate.timestamping("\(name) timestamps")
        template.notBefore = Self.beginning
        template.notAfter = Self.beginning.addingTimeInterval(365 * 86_400)
        timestampSigner = try timestampRoot.issue(template)
        certificateLogKey = try PrivateKey.generate(.ec(.p256))
        rekorKey = try PrivateKey.generate(.ec(.p256))
        rekor2Key = try PrivateKey.generate(.other("Ed25519"))
    }

    // MARK: The trusted root

    package static func sha256(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }

    package var rekorHost: String { "rekor.\(name).example" }
    package var rekor2Host: String { "log2026.rekor.\(name).example" }

    /// The key of Rekor v2 in signed notes (C2SP `signed-note`).
    package var rekor2KeyID: [UInt8] {
        Self.sha256(Array("\(rekor2Host)\n".utf8) + [0x01] + rekor2Key.publicKey.keyBytes)
    }

    private func log(
        _ url: String, _ key: PrivateKey, _ details: String, identifier: [UInt8]? = nil
    ) -> JSONValue {
        [
            "baseUrl": .string(url), "hashAlgorithm": "SHA2_256",
            "publicKey": [
                "rawBytes": .string(Base64.encode(key.publicKey.spkiDER)), "keyDetails": .string(details),
                "validFor": ["start": "2026-01-01T00:00:00Z"],
            ],
            "logId": ["keyId": .string(Base64.encode(identifier ?? Self.sha256(key.publicKey.spkiDER)))],
        ]
    }

    private func authority(_ certificates: [Certificate]) -> JSONValue {
        [
            "uri": .string("https://\(name).example"),
            "certChain": [
                "certificates": .array(certificates.map { ["rawBytes": .string(Base64.encode($0.der))] })
            ], "validFor": ["start": "2026-01-01T00:00:00Z"],
        ]
    }

    /// The trusted root as JSON, to be changed.
    package var rootJSON: JSONValue {
        [
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [
                log("https://\(rekorHost)", rekorKey, "PKIX_ECDSA_P256_SHA_256"),
                log("https://\(rekor2Host)", rekor2Key, "PKIX_ED25519", identifier: rekor2KeyID),
            ],
            "certificateAuthorities": [authority(fulcio.identity.chain)],
            "ctlogs": [log("https://ct.\(name).example", certificateLogKey, "PKIX_ECDSA_P256_SHA_256")],
            "timestampAuthorities": [authority(timestampSigner.chain)],
        ]
    }

    package func root(_ change: (inout JSONValue) -> Void = { _ in }) throws -> TrustedRoot {
        var json = rootJSON
        change(&json)
        return try TrustedRoot(parsing: json.bytes)
    }

    // MARK: Certificates

    /// What a signing certificate says.
    package struct Leaf: Sendable {
        package var subject = "https://example.org/app/.github/workflows/release.yaml@refs/heads/main"
        package var issuer = "https://issuer.example"
        /// The subject alternative names; the subject as a URI when nil.
        package var names: [[UInt8]]?
        package var extensions: [TestExtension] = []
        package var purposes = [ExtendedKeyUsage.codeSigning]
        package var isAuthority = false
        package var validity: ClosedRange<TimeInterval> = 0...600
        /// Who promises that the certificate is logged; nil for nobody.
        package var certificateLog: PrivateKey?
        package var timestampOffset: TimeInterval = 0
        /// Whether the promise is there a second time, with another time under the same signature.
        package var hasAlteredPromise = false
        /// Extensions of the promise (RFC 6962, section 3.2).
        package var promiseExtensions: [UInt8] = []
        /// Who issues it; the instance's authority when nil.
        package var authority: TestSupport.CertificateAuthority?

        package init() {}
    }

    package static func uri(_ text: String) -> [UInt8] { DERWriter.element(DER.context(6), Array(text.utf8)) }

    package func certificate(for key: PublicKey, _ leaf: Leaf) throws -> Certificate {
        var template = CertificateTemplate(
            subject: [],
            extensions: [
                .keyUsage([.digitalSignature]), .extendedKeyUsage(leaf.purposes),
                TestExtension(
                    oid: CertificateExtension.Identifier.subjectAlternativeName, isCritical: true,
                    value: DERWriter.sequence(leaf.names ?? [Self.uri(leaf.subject)])),
                TestExtension(
                    oid: FulcioExtension.issuer.oid, isCritical: false,
                    value: DERWriter.element(DER.utf8String, Array(leaf.issuer.utf8))),
            ] + leaf.extensions)
        if leaf.isAuthority { template.extensions.append(.basicConstraints(isCA: true)) }
        template.serialNumber = [0x40] + (0..<15).map { _ in UInt8.random(in: 0...255) }
        template.notBefore = Self.signingTime.addingTimeInterval(leaf.validity.lowerBound)
        template.notAfter = Self.signingTime.addingTimeInterval(leaf.validity.upperBound)
        let authority = leaf.authority ?? fulcio
        func signed(_ template: CertificateTemplate) throws -> Certificate {
            try Certificate(
                der: template.sign(for: key, issuer: authority.certificate.subject.der, by: authority.key))
        }
        guard let log = leaf.certificateLog else { return try signed(template) }
        // The precertificate has everything but the promise.
        let precertificate = Array(try signed(template).signedBytes)
        let milliseconds = UInt64(
            Self.signingTime.addingTimeInterval(leaf.timestampOffset).timeIntervalSince1970 * 1_000)
        func number(_ value: UInt64, _ bytes: Int) -> [UInt8] {
            (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        }
        let extensions = number(UInt64(leaf.promiseExtensions.count), 2) + leaf.promiseExtensions
        var data: [UInt8] = [0, 0] + number(milliseconds, 8) + [0, 1]
        data += Self.sha256(authority.certificate.publicKey.spkiDER)
        data += number(UInt64(precertificate.count), 3) + precertificate + extensions
        let signature = try log.signature(over: data, scheme: .ecdsa(.sha256))
        let promise =
            [0] + Self.sha256(log.publicKey.spkiDER) + number(milliseconds, 8) + extensions + [4, 3]
            + number(UInt64(signature.count), 2) + signature
        var list = number(UInt64(promise.count), 2) + promise
        if leaf.hasAlteredPromise {
            var altered = promise
            altered[40] ^= 1
            list += number(UInt64(altered.count), 2) + altered
        }
        template.extensions.append(
            TestExtension(
                oid: "1.3.6.1.4.1.11129.2.4.2", isCritical: false,
                value: DERWriter.octetString(number(UInt64(list.count), 2) + list)))
        return try signed(template)
    }

    // MARK: Logs

    /// A log's tree around one entry: the entry's proof and the tree's hash.
    package static func tree(
        around entry: [UInt8], index: Int = 3, size: Int = 7
    ) -> (root: [UInt8], hashes: [[UInt8]]) {
        var leaves = (0..<size).map { sha256([0x00] + Array("other entry \($0)".utf8)) }
        leaves[index] = sha256([0x00] + entry)
        func split(_ count: Int) -> Int {
            var power = 1
            while power * 2 < count { power *= 2 }
            return power
        }
        func hash(_ part: ArraySlice<[UInt8]>) -> [UInt8] {
            if let only = part.first, part.count == 1 { return only }
            let middle = part.startIndex + split(part.count)
            return sha256([0x01] + hash(part[..<middle]) + hash(part[middle...]))
        }
        func path(_ index: Int, _ part: ArraySlice<[UInt8]>) -> [[UInt8]] {
            guard part.count > 1 else { return [] }
            let middle = part.startIndex + split(part.count)
            return index < middle
                ? path(index, part[..<middle]) + [hash(part[middle...])]
                : path(index, part[middle...]) + [hash(part[..<middle])]
        }
        return (hash(leaves[...]), path(index, leaves[...]))
    }

    /// A checkpoint's text, and the line of one signature.
    package static func note(_ origin: String, size: Int, root: [UInt8]) -> String {
        "\(origin)\n\(size)\n\(Base64.encode(root))\n"
    }

    package static func signatureLine(_ name: String, _ keyID: [UInt8], _ signature: [UInt8]) -> String {
        "\u{2014} \(name) \(Base64.encode(Array(keyID.prefix(4)) + signature))\n"
    }
}

extension JSONValue {
    /// The value at a path, which must be there: `["verificationMaterial", "tlogEntries", "0", "logIndex"]`.
    package subscript(path: [String]) -> JSONValue {
        get {
            guard let first = path.first else { return self }
            let rest = Array(path.dropFirst())
            if let array, let index = Int(first), array.indices.contains(index) { return array[index][rest] }
            return object?[first]?[rest] ?? .null
        }
        set {
            guard let first = path.first else {
                self = newValue
                return
            }
            let rest = Array(path.dropFirst())
            switch self {
            case .array(var elements):
                guard let index = Int(first) else { return }
                if elements.indices.contains(index) {
                    elements[index][rest] = newValue
                } else if index == elements.count, rest.isEmpty {
                    elements.append(newValue)
                }
                self = .array(elements)
            case .object(var object):
                if rest.isEmpty {
                    object[first] = newValue
                } else {
                    var inner = object[first] ?? .object(JSONObject())
                    inner[rest] = newValue
                    object[first] = inner
                }
                self = .object(object)
            default: break
            }
        }
    }

    /// Removes a member.
    package mutating func remove(_ path: [String]) {
        guard let last = path.last, case .object(var object) = self[Array(path.dropLast())] else { return }
        object[last] = nil
        self[Array(path.dropLast())] = .object(object)
    }
}
