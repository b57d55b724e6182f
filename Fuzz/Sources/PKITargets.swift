import COpenSSL

@testable import PKI

let pkiTargets = [
    FuzzTarget("certificate", maximumLength: 8192) { bytes in
        let certificate: Certificate
        do { certificate = try Certificate(der: bytes) } catch {
            requireReadable(error)
            return
        }
        require(certificate.der == bytes, "the certificate is not its bytes")
        require(!certificate.signedBytes.isEmpty, "nothing was signed")
        require(
            certificate.subject.rfc2253.utf8.count <= 4 * bytes.count + 1024, "a subject longer than its certificate")
        _ = certificate.description
        // Every branch of the check, with a key and a signature that somebody else chose.
        if certificate.isSelfSigned { require(certificate.isSigned(by: certificate), "signed once only") }
        for name in [certificate.subject, certificate.issuer] {
            require((try? DistinguishedName(der: name.der)) == name, "a name that does not stand alone")
        }
        require(
            (try? PublicKey(spkiDER: certificate.publicKey.spkiDER)) == certificate.publicKey, "a key that does not")
        do {
            let pem = try Certificate.parsePEM(Array(certificate.pem.utf8))
            require(pem == [certificate], "PEM changes it")
            let twice = try Certificate.parsePEMOrDER(bytes + bytes)
            require(twice == [certificate, certificate] || PEM.isPEM(bytes), "two in a row are not two")
        } catch { violated("what was accepted is refused: \(error)") }
    },
    FuzzTarget("pem", maximumLength: 8192) { bytes in
        let blocks: [PEM]
        do { blocks = try PEM.parse(bytes) } catch {
            requireReadable(error)
            require((try? Certificate.parsePEM(bytes)) == nil, "certificates in a text that is not PEM")
            return
        }
        require(blocks.reduce(0) { $0 + $1.der.count } <= bytes.count, "more content than text")
        for block in blocks where block.headers.isEmpty {
            do {
                let again = try PEM.parse(Array(block.text.utf8))
                require(again.count == 1 && again[0].der == block.der && again[0].label == block.label, "another block")
            } catch { violated("the block that is written is refused: \(error)") }
        }
        do {
            let certificates = try Certificate.parsePEM(bytes)
            require(certificates.map(\.der) == blocks.map(\.der), "certificates that are not the blocks")
        } catch { requireReadable(error) }
    },
    FuzzTarget("name", maximumLength: 2048) { bytes in
        do {
            let name = try DistinguishedName(der: bytes)
            require(name.der == bytes, "the name is not its bytes")
            require(name.rfc2253.utf8.count <= 4 * bytes.count + 1024, "a text longer than the name")
            require(name.attributes.count == name.rdns.reduce(0) { $0 + $1.count }, "attributes got lost")
        } catch { requireReadable(error) }
    },
    FuzzTarget("private-key", maximumLength: 4096) { bytes in
        do {
            let key = try bytes.first == 0x30 ? PrivateKey(der: bytes) : PrivateKey(pem: bytes)
            require(!"\(key)".contains("PRIVATE"), "a key that prints itself")
        } catch { requireReadable(error) }
    },
    FuzzTarget("pkcs12", maximumLength: 8192) { bytes in
        // So few iterations that an input takes milliseconds: more of them are a count, not another way through.
        var limits = PKCS12.Limits()
        limits.iterations = 2_048
        limits.totalIterations = 8_192
        do {
            let file = try PKCS12(der: bytes, limits: limits)
            require(file.certificates.count <= limits.certificates, "more certificates than the limit")
            require((try? PKCS12(der: bytes + [0], limits: limits)) == nil, "a byte after it is accepted")
            require(
                (try? PKCS12(der: bytes, limits: limits))?.certificates == file.certificates, "read twice it differs")
        } catch { requireReadable(error) }
    },
]
