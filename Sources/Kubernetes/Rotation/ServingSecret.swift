import Encoding
import FoundationEssentials
import PKI
import StrictJSON

/// A certificate with its key, as a server needs them.
struct ServingPair: Sendable, Equatable {
    /// The certificate, and those between it and its authority.
    let chain: [Certificate]
    let key: PrivateKey

    /// The server's certificate.
    let leaf: Certificate

    /// `nil` when there is no certificate, or the key is another's.
    init?(chain: [Certificate], key: PrivateKey) {
        guard let leaf = chain.first, key.matches(leaf) else { return nil }
        self.chain = chain
        self.key = key
        self.leaf = leaf
    }

    static func == (left: ServingPair, right: ServingPair) -> Bool { left.chain == right.chain }

    /// Chain and key in one text.
    func pem() throws(PKIError) -> [UInt8] {
        Array((chain.map { PEM(label: "CERTIFICATE", der: $0.der).text }.joined() + (try key.pkcs8PEM())).utf8)
    }
}

/// What the Secret of the serving certificate holds: as Ratify's cert-controller writes it, `ca.crt`, `ca.key`,
/// `tls.crt`, `tls.key`. During a change of authority `ca.crt` holds several; the one that signs is the one whose key
/// is there.
struct ServingSecret: Sendable {
    /// The authorities that clients are to trust.
    var authorities: [Certificate]
    /// The key of one of them.
    var authorityKey: PrivateKey?
    /// The certificate to serve with.
    var pair: ServingPair?

    /// The authority that signs.
    var signer: Certificate? { authorityKey.flatMap { key in authorities.first { key.matches($0) } } }

    init(authorities: [Certificate], authorityKey: PrivateKey?, pair: ServingPair?) {
        self.authorities = authorities
        self.authorityKey = authorityKey
        self.pair = pair
    }

    /// Reads a Secret. What is missing or not usable is left out.
    init(_ secret: JSONObject?) {
        func text(_ name: String) -> [UInt8] {
            secret?["data"]?[name]?.string.flatMap { Base64.decode($0, allowsLeftoverBits: true) } ?? []
        }
        authorities = ServingSecret.certificates(text("ca.crt")).filter(\.isCA)
        authorityKey = try? PrivateKey(pem: text("ca.key"))
        pair = (try? PrivateKey(pem: text("tls.key"))).flatMap {
            ServingPair(chain: ServingSecret.certificates(text("tls.crt")), key: $0)
        }
    }

    /// The certificates of a PEM text; none when one is broken.
    static func certificates(_ text: [UInt8]) -> [Certificate] {
        guard let blocks = try? PEM.parse(text), blocks.count <= 32 else { return [] }
        var certificates: [Certificate] = []
        for block in blocks where block.label == "CERTIFICATE" {
            guard let certificate = try? Certificate(der: block.der) else { return [] }
            certificates.append(certificate)
        }
        return certificates
    }

    /// The authorities as PEM.
    var bundle: [UInt8] { Array(authorities.map { PEM(label: "CERTIFICATE", der: $0.der).text }.joined().utf8) }

    /// The members of `data`.
    func data() throws(PKIError) -> JSONObject {
        func encoded(_ bytes: [UInt8]) -> JSONValue { .string(Base64.encode(bytes)) }
        var data: JSONObject = ["ca.crt": encoded(bundle)]
        if let authorityKey { data["ca.key"] = encoded(Array(try authorityKey.pkcs8PEM().utf8)) }
        if let pair {
            let chain = pair.chain.map { PEM(label: "CERTIFICATE", der: $0.der).text }.joined()
            data["tls.crt"] = encoded(Array(chain.utf8))
            data["tls.key"] = encoded(Array(try pair.key.pkcs8PEM().utf8))
        }
        return data
    }

    /// The authority that signed a certificate and is valid now.
    func issuer(of leaf: Certificate, at now: Date) -> Certificate? {
        authorities.first { $0.isValid(at: now) && leaf.issuer == $0.subject && leaf.isSigned(by: $0) }
    }
}
