import Foundation
import Notation
import PKI
import Testing
import TestSupport

@Suite struct DirectoryTrustStoreTests {
    let directory: TemporaryDirectory
    let store: DirectoryTrustStore

    init() throws {
        directory = try TemporaryDirectory()
        store = DirectoryTrustStore(directory: directory.path)
    }

    private func problem(_ type: TrustStoreType = .ca, _ name: String = "main") -> String? {
        do {
            _ = try store.certificates(type: type, named: name)
            return nil
        } catch { return error.description }
    }

    @Test func readsPEMAndDER() throws {
        defer { directory.remove() }
        let first = try CertificateAuthority(name: "first").certificate
        let second = try CertificateAuthority(name: "second").certificate
        directory.write("some text\n" + first.pem + "between\n", to: "x509/ca/main/a.pem")
        directory.write(second.der + first.der, to: "x509/ca/main/b.crt")
        #expect(try store.certificates(type: .ca, named: "main") == [first, second, first])
    }

    @Test func noticesChanges() throws {
        defer { directory.remove() }
        let first = try CertificateAuthority(name: "first").certificate
        let second = try CertificateAuthority(name: "second").certificate
        directory.write(first.pem, to: "x509/ca/main/a.pem")
        #expect(try store.certificates(type: .ca, named: "main") == [first])
        directory.write(second.pem, to: "x509/ca/main/a.pem")
        #expect(try store.certificates(type: .ca, named: "main") == [second])
        directory.write(first.pem, to: "x509/ca/main/b.pem")
        #expect(try store.certificates(type: .ca, named: "main") == [second, first])
        try FileManager.default.removeItem(atPath: directory.path("x509/ca/main/a.pem"))
        #expect(try store.certificates(type: .ca, named: "main") == [first])
    }

    @Test func failsAsAWhole() throws {
        defer { directory.remove() }
        let root = try CertificateAuthority(name: "root")
        #expect(problem()?.contains("does not exist") == true)
        #expect(problem(.ca, "..")?.contains("not a name") == true)
        #expect(problem(.ca, "a/b")?.contains("not a name") == true)
        directory.write(root.certificate.pem, to: "x509/ca/main/a.pem")
        #expect(problem() == nil)
        directory.write("read me", to: "x509/ca/main/README")
        #expect(problem()?.contains("README") == true)
        directory.write(try root.issue(.codeSigning("leaf")).certificate.pem, to: "x509/ca/leaf/a.pem")
        #expect(problem(.ca, "leaf")?.contains("neither") == true)
        directory.write(try CertificateAuthority(.codeSigning("alone")).certificate.pem, to: "x509/ca/alone/a.pem")
        #expect(problem(.ca, "alone") == nil)
        directory.write(try root.intermediate("int").certificate.pem, to: "x509/tsa/int/a.pem")
        #expect(problem(.tsa, "int")?.contains("root") == true)
        directory.write(root.certificate.pem, to: "x509/ca/deep/sub/a.pem")
        #expect(problem(.ca, "deep")?.contains("not a regular file") == true)
        try FileManager.default.createDirectory(
            atPath: directory.path("x509/ca/empty"), withIntermediateDirectories: true)
        #expect(problem(.ca, "empty")?.contains("no certificate") == true)
        try FileManager.default.createSymbolicLink(
            atPath: directory.path("x509/ca/link"), withDestinationPath: directory.path("x509/ca/alone"))
        #expect(problem(.ca, "link")?.contains("links are not followed") == true)
    }

    @Test func inMemory() throws {
        defer { directory.remove() }
        let root = try CertificateAuthority(name: "root")
        let name = try TrustStoreName(.ca, "kmp")
        let store = try InMemoryTrustStore([name: [root.certificate]])
        #expect(try store.certificates(type: .ca, named: "kmp") == [root.certificate])
        #expect(throws: TrustStoreError.self) { try store.certificates(type: .tsa, named: "kmp") }
        #expect(throws: TrustStoreError.self) { try store.certificates(type: .ca, named: "other") }
        #expect(throws: TrustStoreError.self) { try InMemoryTrustStore([name: []]) }
        let leaf = try root.issue(.codeSigning("leaf")).certificate
        #expect(throws: TrustStoreError.self) { try InMemoryTrustStore([name: [leaf]]) }
    }
}
