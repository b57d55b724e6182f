import PKI
import TestSupport
import Testing

/// PEM that has lost its line breaks, as it does in a shell's variable, in YAML and in web forms.
@Suite struct BrokenPEMTests {
    /// How the breaks were lost.
    enum Loss: String, CaseIterable {
        case gone, spaces, escapes, carriageReturns, onlyTheLast, onlyTheFirst, indented

        func text(of pem: String) -> String {
            let lines = pem.split(separator: "\n").map(String.init)
            return switch self {
            case .gone: lines.joined()
            case .spaces: lines.joined(separator: " ")
            case .escapes: lines.joined(separator: "\\n")
            case .carriageReturns: lines.joined(separator: "\r")
            case .onlyTheLast: lines.dropLast().joined(separator: "\n") + (lines.last ?? "")
            case .onlyTheFirst: (lines.first ?? "") + lines.dropFirst().joined(separator: "\n")
            case .indented: "  " + lines.joined() + "  \n"
            }
        }
    }

    private func read(_ text: [UInt8], _ readsDER: Bool) throws -> [Certificate] {
        if readsDER { return try Certificate.parsePEMOrDER(text) }
        return try Certificate.parsePEM(text)
    }

    private func expectNothing(of pem: String, in error: some Error) {
        let text = "\(error)"
        #expect(text.utf8.count < 400, "\(text)")
        for line in pem.split(separator: "\n").dropFirst().dropLast() {
            #expect(!text.contains(line.prefix(12)), "\(text)")
        }
    }

    @Test(arguments: Loss.allCases)
    func aKeyIsNotPrinted(loss: Loss) throws {
        for kind in [PublicKey.Kind.ec(.p256), .rsa(bits: 2048)] {
            let pem = try PrivateKey.generate(kind).pkcs8PEM()
            let text = Array(loss.text(of: pem).utf8)
            #expect { try PrivateKey(pem: text) } throws: { error in
                expectNothing(of: pem, in: error)
                return "\(error)".contains("line breaks") || "\(error)".contains("is not Base64")
                    || "\(error)".contains("END line")
            }
            for readsDER in [false, true] {
                #expect { try read(text, readsDER) } throws: { error in
                    expectNothing(of: pem, in: error)
                    return true
                }
            }
            #expect { try PublicKey(pem: text) } throws: { error in
                expectNothing(of: pem, in: error)
                return true
            }
        }
    }

    /// A label is what stands between the words of a BEGIN line: whatever somebody has put there.
    @Test func aLabelIsNotPrinted() throws {
        let key = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49"
        for text in [
            "-----BEGIN \(key)-----\nAAAA\n-----END \(key)-----\n", "-----BEGIN \(key)-----\nAAAA\n",
            "-----END \(key)-----\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END \(key)-----\n",
            "-----BEGIN \(key)\(key)-----\nAAAA\n-----END \(key)\(key)-----\n",
        ] {
            for readsDER in [false, true] {
                #expect { try read(Array(text.utf8), readsDER) } throws: {
                    !"\($0)".contains(key.prefix(8)) && "\($0)".utf8.count < 400
                }
            }
        }
        #expect {
            try Certificate.parsePEM(Array("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".utf8))
        } throws: { "\($0)".contains("\"PRIVATE KEY\"; only CERTIFICATE blocks") }
    }

    /// Text around the blocks, as openssl writes it, stays text.
    @Test func whatIsNoBoundaryIsIgnored() throws {
        let certificate = try CertificateAuthority(name: "root").certificate
        let text = "Bag Attributes\n----- BEGIN -----\n-----\n--- no key\nsubject=CN=x\n" + certificate.pem + "-----\n"
        #expect(try Certificate.parsePEM(Array(text.utf8)) == [certificate])
    }
}
