import FoundationEssentials
import HTTP
import NIOPosix
import Notation
import OCI
import OCIRegistry

/// Images never seen before, over a registry on loopback: what the first pod of an image costs, all requests included.
struct ColdBenchmark {
    let files: ServingFiles
    let server: ServerLauncher
    let group: MultiThreadedEventLoopGroup
    let isQuick: Bool

    /// How often, after the first images, which make the connections and let the chain be known.
    private static let warmUp = 20
    private var rounds: Int { 5 }

    /// A registry as this measures it.
    private struct Source {
        let title: String
        /// In the names of figures.
        let name: String
        /// The first ones warm up.
        let images: [String]
        let requests: @Sendable () -> Int
    }

    func run(_ report: inout Report) async throws {
        var rows: [[String]] = []
        let generated = try await GeneratedRegistry(signer: files.signer, group: group)
        let withAPI = Source(
            title: "with a Referrers API", name: "referrers-api",
            images: generated.images(0..<(Self.warmUp + 500)), requests: { generated.requests })
        for _ in 1..<(isQuick ? 1 : 3) { _ = try await serve(withAPI, &report) }
        rows.append(try await serve(withAPI, &report))
        try await verify(withAPI, &report, &rows)
        await generated.stop()
        if RegistryProcess.isInstalled {
            let registry = try await RegistryProcess(directory: files.directory)
            do {
                let images = try await registry.push(Self.warmUp + (isQuick ? 50 : 150), signer: files.signer)
                let source = Source(
                    title: "docker-registry 2.8", name: "docker-registry", images: images,
                    requests: { registry.requests })
                rows.append(try await serve(source, &report))
                rows.append(try await library(source, &report))
                try await verify(source, &report, &rows)
            } catch {
                await registry.stop()
                throw error
            }
            await registry.stop()
        } else {
            note("docker-registry is not installed: its rows are left out")
        }
        report.table(
            "Cold images over a registry on loopback, HTTP, RSA-2048, chain seen before",
            ["", "CPU ms", "(min – max)", "registry requests"], rows,
            notes: [
                "serve: processor time of the server for each image, its request included; 8 connections, a key each.",
                "The library: ImageVerifier in the measuring process, one image after the other.",
                "verify: the whole process, its start included, which the last row shows alone.",
            ])
    }

    /// Through a server of its own, which has nothing in its caches; gives the row of this and all such servers before.
    private func serve(_ source: Source, _ report: inout Report) async throws -> [String] {
        try await server.withServer(files, configuration: files.registryConfiguration) { process, port in
            let gatekeeper = try Gatekeeper(port: port, identity: files.client, group: group)
            let questions = source.images.map { Question(keys: [$0]) }
            let load = try await KeepAliveLoad(gatekeeper, connections: 8, question: questions[0])
            let first = Array(questions[..<Self.warmUp])
            _ = try await load.run(.closed(first, limit: first.count, isThorough: true)).allGood()
            var (cpu, requests): ([Double], [Double]) = ([], [])
            let size = (questions.count - Self.warmUp) / rounds
            for round in 0..<rounds {
                let part = Array(questions[(Self.warmUp + round * size)...].prefix(size))
                let before = source.requests()
                let result = try await LoadResult.of(process) {
                    try await load.run(.closed(part, limit: part.count, isThorough: true))
                }
                cpu.append(result.serverMicroseconds / 1000)
                requests.append(Double(source.requests() - before) / Double(part.count))
            }
            await load.close()
            if source.images.count >= 500 {
                report.add(
                    Figure(
                        "memory.after-500-cold-images", unit: "MB",
                        [try ProcessStatistics(pid: process.pid).residentMegabytes]))
            }
            return row(
                "serve, \(source.title)", report.add(Figure("cold.serve.\(source.name).cpu", unit: "ms", cpu)),
                report.add(Figure("cold.serve.\(source.name).requests", unit: "requests", requests)))
        }
    }

    /// Through the library, in this process, one image after the other; the registry must be another process.
    private func library(_ source: Source, _ report: inout Report) async throws -> [String] {
        let client = RegistryClient(http: try HTTPClient(configuration: HTTPClientConfiguration(environment: [:])))
        let verifier = ImageVerifier(
            store: client, policy: try TrustPolicyDocument(json: ServingFiles.trustPolicy),
            verifier: SignatureVerifier(
                trustStore: try InMemoryTrustStore([TrustStoreName(.ca, "shop"): [files.root]])))
        func verify(_ image: String) async throws {
            let outcome = await verifier.verify(
                try ImageReference(parsing: image), now: Date(), deadline: .now + .seconds(15))
            guard outcome.verifiedSignature != nil else { throw BenchmarkError("\(image) does not verify: \(outcome)") }
        }
        for image in source.images.prefix(Self.warmUp) { try await verify(image) }
        var (cpu, requests): ([Double], [Double]) = ([], [])
        let size = (source.images.count - Self.warmUp) / rounds
        for round in 0..<rounds {
            let part = source.images[(Self.warmUp + round * size)...].prefix(size)
            let (before, start) = (source.requests(), processorTime())
            for image in part { try await verify(image) }
            cpu.append((processorTime() - start) * 1000 / Double(part.count))
            requests.append(Double(source.requests() - before) / Double(part.count))
        }
        return row(
            "the library, \(source.title)",
            report.add(Figure("cold.library.\(source.name).cpu", unit: "ms", cpu)),
            report.add(Figure("cold.library.\(source.name).requests", unit: "requests", requests)))
    }

    /// Through the command, a process for each image.
    private func verify(_ source: Source, _ report: inout Report, _ rows: inout [[String]]) async throws {
        var (cpu, requests, start): ([Double], [Double], [Double]) = ([], [], [])
        for image in source.images.prefix(isQuick ? 3 : 7) {
            let log = files.directory + "/verify.log"
            start.append(try await ServerProcess.run(server.countersign, ["version"], log: log) * 1000)
            let before = source.requests()
            cpu.append(
                try await ServerProcess.run(
                    server.countersign, ["verify", image, "--config", files.registryConfiguration], log: log) * 1000)
            requests.append(Double(source.requests() - before))
        }
        rows.append(
            row(
                "verify, \(source.title)",
                report.add(Figure("cold.verify.\(source.name).cpu", unit: "ms", cpu)),
                report.add(Figure("cold.verify.\(source.name).requests", unit: "requests", requests))))
        let alone = report.add(Figure("cold.start-of-process.\(source.name)", unit: "ms", start)).samples
        rows.append(["the command's start and end alone", alone.median.fixed(1), alone.range, ""])
    }

    private func row(_ title: String, _ cpu: Figure, _ requests: Figure) -> [String] {
        [title, cpu.samples.median.short, cpu.samples.range, requests.samples.median.fixed(2)]
    }
}
