import Benchmark
import FoundationEssentials
import Notation
import OCI
import PKI
import TestSupport

/// Reading what strangers sent, before anything of it is believed.
func envelopeBenchmarks(_ subjects: MicroSubjects) {
    for signed in [subjects.rsa, subjects.p256] {
        Benchmark("envelope: parse JWS, \(signed.name)") { benchmark in
            try benchmark.measure {
                for _ in benchmark.scaledIterations {
                    blackHole(try SignatureEnvelope(parsing: signed.jws, mediaType: MediaType.notationJWS))
                }
            }
        }
        Benchmark("envelope: parse COSE, \(signed.name)") { benchmark in
            try benchmark.measure {
                for _ in benchmark.scaledIterations {
                    blackHole(try SignatureEnvelope(parsing: signed.cose, mediaType: MediaType.notationCOSE))
                }
            }
        }
    }
    Benchmark("CBOR: decode a COSE envelope") { benchmark in
        let cose = subjects.rsa.cose
        try benchmark.measure {
            for _ in benchmark.scaledIterations { blackHole(try CBORDecoder.decode(cose, allowsTags: true)) }
        }
    }
    Benchmark("manifest: parse a signature's") { benchmark in
        let content = subjects.signatureManifest
        try benchmark.measure {
            for _ in benchmark.scaledIterations {
                blackHole(try Manifest(parsing: content, mediaType: MediaType.ociManifest))
            }
        }
    }
    Benchmark("index: parse a list of two referrers") { benchmark in
        let content = subjects.referrers
        try benchmark.measure {
            for _ in benchmark.scaledIterations {
                blackHole(try Index(parsing: content, mediaType: MediaType.ociIndex))
            }
        }
    }
    Benchmark("reference: parse") { benchmark in
        try benchmark.measure {
            for _ in benchmark.scaledIterations {
                blackHole(try ImageReference(parsing: "registry.example.com/team-7/app:v1.2.3"))
            }
        }
    }
}

func certificateBenchmarks(_ subjects: MicroSubjects) {
    for signed in [subjects.rsa, subjects.p256] {
        Benchmark("certificate: parse, \(signed.name)") { benchmark in
            let der = signed.chain[0].der
            try benchmark.measure {
                for _ in benchmark.scaledIterations { blackHole(try Certificate(der: der)) }
            }
        }
        Benchmark("chain: seen before, \(signed.name)") { benchmark in
            let cache = CertificateChainCache()
            let der = signed.chain.map(\.der)
            blackHole(try cache.chain(der: der))
            try benchmark.measure {
                for _ in benchmark.scaledIterations { blackHole(try cache.chain(der: der)) }
            }
        }
    }
    var once = Benchmark.defaultConfiguration
    once.scalingFactor = .one
    for signed in [subjects.rsa, subjects.p256] {
        Benchmark("chain: never seen, parsed and every rule checked, \(signed.name)", configuration: once) {
            benchmark in
            let der = signed.chain.map(\.der)
            try benchmark.measure { blackHole(try CertificateChainCache().chain(der: der)) }
        }
    }
}

func verificationBenchmarks(_ subjects: MicroSubjects) {
    Benchmark("trust policy: the statement of one scope of 200") { benchmark in
        let policy = subjects.trustPolicy
        try benchmark.measure {
            for _ in benchmark.scaledIterations {
                blackHole(try policy.statement(forScope: "registry.example.com/team-150/app"))
            }
        }
    }
    Benchmark("trust policy: the statement for everything else") { benchmark in
        let policy = subjects.trustPolicy
        try benchmark.measure {
            for _ in benchmark.scaledIterations {
                blackHole(try policy.statement(forScope: "registry.example.com/other"))
            }
        }
    }
    var hundred = Benchmark.defaultConfiguration
    hundred.scalingFactor = .one
    for signed in [subjects.rsa, subjects.p256] {
        for (format, bytes) in [("JWS", signed.jws), ("COSE", signed.cose)] {
            Benchmark("verification: all of it, chain seen before, \(signed.name) \(format)", configuration: hundred) {
                benchmark in
                let verifier = SignatureVerifier(
                    trustStore: try InMemoryTrustStore([
                        TrustStoreName(.ca, "release"): [signed.chain[signed.chain.count - 1]]
                    ]))
                let statement = try subjects.trustPolicy.statement(forScope: "registry.example.com/team-150/app")
                let mediaType = format == "JWS" ? MediaType.notationJWS : MediaType.notationCOSE
                func verify() async -> Bool {
                    await verifier.verify(
                        envelope: bytes, mediaType: mediaType, subject: subjects.image, statement: statement,
                        now: Date(), deadline: .now + .seconds(10)
                    ).isVerified
                }
                guard await verify() else { return benchmark.error("a good signature does not verify") }
                await benchmark.measure { blackHole(await verify()) }
            }
        }
    }
}
