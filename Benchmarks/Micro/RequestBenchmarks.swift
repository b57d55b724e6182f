import Benchmark
import Gatekeeper
import OCI
import StrictJSON
import Verification

func jsonBenchmarks(_ subjects: MicroSubjects) {
    for (name, content) in [
        ("JWS envelope, \(subjects.rsa.jws.count) bytes", subjects.rsa.jws),
        ("signature manifest, \(subjects.signatureManifest.count) bytes", subjects.signatureManifest),
    ] {
        Benchmark("JSON: parse a \(name)") { benchmark in
            try benchmark.measure {
                for _ in benchmark.scaledIterations { blackHole(try StrictJSON.parse(content)) }
            }
        }
    }
}

/// What a request costs beside TLS and HTTP: its JSON, the remembered verdict, the answer's JSON.
func requestBenchmarks() {
    let keys = (0..<10).map { "registry.example.com/team-\($0)/app:v1.2.3" }
    let decisions = keys.map(decision)
    for count in [1, 10] {
        let title = count == 1 ? "one key" : "\(count) keys"
        Benchmark("request: read, \(title)") { benchmark in
            let body: JSONValue = [
                "apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest",
                "request": ["keys": .array(keys.prefix(count).map(JSONValue.string))],
            ]
            let bytes = body.bytes
            try benchmark.measure {
                for _ in benchmark.scaledIterations { blackHole(try ProviderRequest(body: bytes, maximumKeys: 1000)) }
            }
        }
        Benchmark("answer: write, \(title)") { benchmark in
            benchmark.measure {
                for _ in benchmark.scaledIterations {
                    var writer = ProviderResponseWriter(version: .v1beta1, isIdempotent: false)
                    for (key, decision) in zip(keys, decisions).prefix(count) {
                        writer.item(key: key) {
                            decision.writeValue(
                                traceID: "7f1f7ab0-2f5c-4ba9-8a2d-2f2a8f1f5b50",
                                timestamp: "2026-11-21T12:00:00.000000Z",
                                to: &$0)
                        }
                    }
                    blackHole(writer.finish())
                }
            }
        }
    }
    Benchmark("decision cache: hit, 10 000 kept") { benchmark in
        let cache = DecisionCache(timeToLive: .seconds(600))
        let kept = (0..<10_000).map { key("registry.example.com/team-\($0)/app:v1.2.3") }
        for key in kept { cache.keep(decisions[0], for: key) }
        benchmark.measure {
            for number in benchmark.scaledIterations { blackHole(cache.decision(for: kept[number * 7 % kept.count])) }
        }
    }
    Benchmark("decision cache: keep, full at 4 MiB") { benchmark in
        let cache = DecisionCache(timeToLive: .seconds(600), maximumBytes: 4 << 20)
        for number in 0..<4000 { cache.keep(decisions[0], for: key("registry.example.com/before:v\(number)")) }
        let new = benchmark.scaledIterations.map { key("registry.example.com/after:v\($0)") }
        benchmark.measure {
            for key in new { cache.keep(decisions[0], for: key) }
        }
    }
}

private func key(_ reference: String) -> DecisionCache.Key {
    DecisionCache.Key(generation: 1, trustGeneration: 1, namespace: nil, reference: reference)
}

/// An admission as Notation's verifier reports it.
private func decision(_ reference: String) -> Decision {
    let digest = Digest(of: Array(reference.utf8))
    return Decision(
        isSuccess: true, reference: reference, digest: digest,
        reports: [
            VerifierReport(
                subject: "\(reference.prefix { $0 != ":" })@\(digest)", isSuccess: true, verifierName: "notation",
                verifierType: "notation", referenceDigest: digest.description,
                artifactType: MediaType.notationSignature, message: "signature verification success",
                extensions: [
                    "Issuer": "CN=issuing,O=Countersign Tests,ST=WA,C=US", "SN": "CN=signer,O=Countersign Tests",
                ])
        ])
}
