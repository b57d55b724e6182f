import Encoding
import FoundationEssentials

@testable import PKI

/// A moment inside the validity of the corpus's certificates.
private let moment = Date(timeIntervalSince1970: 1_780_000_000)

let revocationTargets = [
    FuzzTarget("crl", maximumLength: 8192) { bytes in
        let list: RevocationList
        do { list = try RevocationList(der: bytes) } catch {
            requireReadable(error)
            return
        }
        require(list.der == bytes, "the list is not its bytes")
        require(list.count * 5 <= bytes.count, "more entries than bytes")
        require(UTC.text(list.thisUpdate) <= "9999", "a time without a text")
        require(list.unknownCriticalExtensions.count <= list.extensions.count, "extensions from nowhere")
        // Each serial number that could be meant is looked up: an entry that is there must be found or be an error.
        for serial: [UInt8] in [[1], [2], [0x7F], bytes.suffix(8) + []] {
            do {
                let entries = try list.entries(forSerialNumber: serial, issuedBy: list.issuer)
                require(entries.count <= list.count, "more entries than the list has")
            } catch { requireReadable(error) }
        }
    },
    FuzzTarget("ocsp", maximumLength: 8192) { bytes in
        let response: OCSPResponse
        do { response = try OCSPResponse(der: bytes) } catch {
            requireReadable(error)
            return
        }
        require(response.responses.count <= bytes.count, "more answers than bytes")
        for certificate in response.certificates.prefix(4) {
            for issuer in response.certificates.prefix(4) {
                do {
                    let single = try response.verify(for: certificate, issuer: issuer, at: moment)
                    require(single.certificateID.matches(certificate, issuer: issuer), "the answer about another one")
                    require(single.unknownCriticalExtensions.isEmpty, "an answer that is not understood")
                } catch { requireReadable(error, limit: 16_384) }
            }
        }
    },
    FuzzTarget("timestamp", maximumLength: 16_384) { bytes in
        do {
            let once = try BER.definite(bytes)
            let twice = try BER.definite(once)
            require(once == twice, "DER is not left as it is")
        } catch { requireReadable(error) }
        do {
            let request = try TimestampRequest(for: [1, 2, 3], hash: .sha256, nonce: [1])
            _ = try request.token(inResponse: bytes)
        } catch { requireReadable(error) }
        let token: TimestampToken
        do { token = try TimestampToken(der: bytes) } catch {
            requireReadable(error)
            return
        }
        require(token.info.earliest <= token.info.latest, "a time that ends before it begins")
        _ = UTC.text(token.info.earliest) + UTC.text(token.info.latest)
        do {
            // No message is known whose timestamp this is: the imprint must not agree.
            let certificate = try token.verify(timestamped: [0xC0, 0xFF, 0xEE])
            violated("the timestamp of \(certificate) is about something else")
        } catch { requireReadable(error) }
        for certificate in token.certificates {
            _ = CertificateChain.path(from: certificate, through: token.certificates, to: [], at: moment)
        }
    },
]
