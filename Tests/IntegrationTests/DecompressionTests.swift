import Foundation
import Notation
import OCI
import TestSupport
import Testing

/// Small bodies that say to be large ones: what travels is what counts, and nothing is unpacked.
@Suite struct DecompressionTests {
    private static let unpackedBytes = 256 << 20

    /// Zeros, a thousandth of their size.
    private static func bomb(in directory: TemporaryDirectory) throws -> [UInt8] {
        let path = directory.path("bomb.gz")
        let packing = try Process.run(
            URL(filePath: "/bin/sh"), arguments: ["-c", "head -c \(unpackedBytes) /dev/zero | gzip -9 > '\(path)'"])
        packing.waitUntilExit()
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
        #expect(bytes.starts(with: [0x1F, 0x8B]) && bytes.count < unpackedBytes / 900)
        return bytes
    }

    /// The most memory that a process has had, in bytes.
    private static func peak(of process: Int32) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") } ?? ""
        return try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) }) * 1024
    }

    @Test func aSmallBodyStaysSmall() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let bomb = try Self.bomb(in: files.directory)
        let tls = try ServingFiles(in: files.directory)
        let signer = try Signers.shared.get().other
        try await withRegistry { registry in
            var images: [(key: String, words: [String], recovers: Bool)] = []
            for (index, encoding) in ["gzip", "zstd", "br", "deflate", "gzip, gzip", "x-gzip"].enumerated() {
                for (kind, words) in [
                    ("referrers", ["listing the referrers", "an index that is wrong"]),
                    ("manifests", ["fetching the manifest", "bytes of the descriptor"]),
                    ("blobs", ["fetching the blob", "bytes of the descriptor"]),
                ] {
                    let app = try Repository("\(registry.endpoint)/\(kind)\(index)")
                    try await app.push("v1", signedBy: signer)
                    registry.inject(
                        .content(bomb, encoding: encoding), method: "GET",
                        path: "/v2/\(app.reference.repository)/\(kind)/*")
                    images.append((app.name("v1"), words, true))
                }
                // Its digest and its size are right: those of what travels.
                let app = try Repository("\(registry.endpoint)/honest\(index)")
                let image = try await app.push("v1", content: "v1")
                let format: EnvelopeFormat = index.isMultiple(of: 2) ? .jws : .cose
                try await TestSigner.push(bomb, format.mediaType, for: image, in: app.reference, at: app.destination)
                registry.inject(
                    .header("Content-Encoding", encoding), method: "GET",
                    path: "/v2/\(app.reference.repository)/blobs/*")
                images.append((app.name("v1"), ["the signature cannot be read"], false))
            }
            let good = try Repository("\(registry.endpoint)/good")
            try await good.push("v1", signedBy: signer)
            registry.forgetRequests()
            var configuration = try ConfigurationText.trustingRelease()
            configuration.verificationTimeout = 120_000
            let process = try await ServeProcess(
                config: files.directory.write(configuration.json.bytes, to: "bomb.json"), tls: tls,
                ["--cache-ttl", "0s"])
            func ask(_ key: String) async throws -> Answer {
                Answer(
                    try await TestClient.post(port: process.port, tls.gatekeeper, body: TestClient.request([key])),
                    asked: [key])
            }
            expectAdmitted(try await ask(good.name("v1")))
            let before = try Self.peak(of: process.identifier)
            for (key, words, _) in images {
                let start = ContinuousClock.now
                let answer = try await ask(key)
                expectDenied(answer)
                for word in words { #expect(answer.reason().contains(word), "\(answer)") }
                #expect(answer.text.utf8.count < 20_000)
                #expect(start.duration(to: .now) < .seconds(60))
            }
            let growth = try Self.peak(of: process.identifier) - before
            #expect(growth < Self.unpackedBytes / 4, "\(growth) bytes more")
            // Nobody asks for what nobody unpacks.
            #expect(registry.requests.allSatisfy { $0.header("Accept-Encoding") == nil })
            registry.clearFaults()
            for (key, _, recovers) in images where recovers { expectAdmitted(try await ask(key)) }
            process.signal(SIGINT)
            #expect(await process.ended() == 0)
        }
    }
}
