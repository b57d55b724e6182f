// swift-tools-version: 6.2
import PackageDescription

#if canImport(Glibc)
    import Glibc
#endif

/// Every target of ours: Swift 6 mode, `any` spelled out, and no warning survives.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .treatAllWarnings(as: .error),
]

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioExtras = Target.Dependency.product(name: "NIOExtras", package: "swift-nio-extras")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// How the command is linked for release. Swift exports every symbol of a program with a static runtime, 3.6 MB of
/// names that nobody looks up. All symbols of libraries are bound at the start and then read-only. Relocations take 18
/// KB in the relative form instead of 2.2 MB; the C library must know it, which it does since 2.36.
let releaseLink: [LinkerSetting] = {
    var flags = ["--no-export-dynamic", "-z", "relro", "-z", "now"]
    #if canImport(Glibc)
        // "glibc 2.36"
        var text = [UInt8](repeating: 0, count: 64)
        _ = text.withUnsafeMutableBytes { confstr(Int32(_CS_GNU_LIBC_VERSION), $0.baseAddress, $0.count) }
        let version = text.split { !(0x30...0x39).contains($0) }.compactMap { Int(String(decoding: $0, as: UTF8.self)) }
        if version.count >= 2, (version[0], version[1]) >= (2, 36) { flags += ["-z", "pack-relative-relocs"] }
    #endif
    return [
        .unsafeFlags(
            ["-use-ld=lld"] + flags.flatMap { ["-Xlinker", $0] },
            .when(platforms: [.linux], configuration: .release))
    ]
}()

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, exclude: [], resources: resources, swiftSettings: strict)
}

var targets: [Target] = [
    // C libraries, as thin typed shims.
    .target(
        name: "CCurl",
        linkerSettings: [.linkedLibrary("curl"), .linkedLibrary("ssl"), .linkedLibrary("crypto")]),
    .target(name: "COpenSSL", linkerSettings: [.linkedLibrary("crypto")]),
    .target(name: "CYAML", linkerSettings: [.linkedLibrary("yaml")]),
    .target(name: "CMemory"),

    // Rooms, in the order of a request from the inside out (docs/architecture.md).
    room("Encoding"),
    room("Quotation", ["Encoding"]),
    room("Concurrency"),
    room("StrictJSON", ["Encoding", "Quotation"]),
    room("YAML", ["CYAML", "Quotation", "StrictJSON"]),
    room("HTTP", ["Encoding", "CCurl", "Quotation"]),
    room("OCI", ["Encoding", "Concurrency", "HTTP", "Quotation", "StrictJSON", crypto, subprocess]),
    room("PKI", ["Encoding", "COpenSSL", "Quotation", crypto, cryptoExtras]),
    room(
        "Notation", ["Encoding", "Concurrency", "OCI", "PKI", "HTTP", "Quotation", "StrictJSON", crypto, cryptoExtras]),
    .target(
        name: "Sigstore", dependencies: ["Encoding", "PKI", "Quotation", "StrictJSON", crypto],
        // The trusted root of the public good instance, compiled in as it was published.
        resources: [.embedInCode("TrustedRoots/sigstore.dev.trusted_root.json")],
        swiftSettings: strict),
    .target(
        name: "TUF", dependencies: ["Encoding", "PKI", "Quotation", "StrictJSON", crypto],
        // Roots of Sigstore's repositories, compiled in as they were published.
        resources: [.embedInCode("Roots/sigstore.dev.root.json"), .embedInCode("Roots/github.root.json")],
        swiftSettings: strict),
    room("KeyManagement", ["Encoding", "PKI", "Quotation", crypto]),
    room("ServiceLogging", ["Encoding", "StrictJSON", nioPosix, logging]),
    room("Redis", ["Quotation", nio, nioPosix, nioSSL, logging]),
    room("Azure", ["Encoding", "Concurrency", "HTTP", "OCI", "PKI", "KeyManagement", "Quotation", "StrictJSON"]),
    room(
        "Audit",
        ["Encoding", "Kubernetes", "KeyManagement", "OCI", "PKI", "Quotation", "StrictJSON", "Verification", "YAML"]),
    room(
        "Kubernetes",
        ["Encoding", "Concurrency", "HTTP", "OCI", "PKI", "Quotation", "StrictJSON", "YAML", subprocess]),
    room("Verification", ["Concurrency", "OCI", "KeyManagement", "Quotation", "StrictJSON", logging]),
    room(
        "ProviderServer",
        [
            "Encoding", "Verification", "OCI", "PKI", "Quotation", "ServiceLogging", "StrictJSON", httpTypes, nio,
            nioPosix, nioHTTP1, nioExtras, nioTLS, nioSSL, lifecycle, logging,
        ]),
    room(
        "Gatekeeper",
        [
            "ProviderServer", "Quotation", "ServiceLogging", "StrictJSON", "Verification", httpTypes, nio, nioHTTP1,
            logging,
        ]),
    room(
        "Kyverno",
        [
            "OCI", "PKI", "ProviderServer", "Quotation", "StrictJSON", "Verification", httpTypes, nio, nioHTTP1, nioSSL,
            logging,
        ]),
    room(
        "NotationVerifier",
        ["KeyManagement", "Notation", "OCI", "PKI", "Quotation", "StrictJSON", "Verification", lifecycle]),
    room(
        "CustomResources",
        ["KeyManagement", "Kubernetes", "OCI", "Quotation", "StrictJSON", "Verification", "YAML", lifecycle, logging]),
    room("SharedCache", ["Encoding", "OCI", "Redis", "StrictJSON", "Verification", crypto, lifecycle, logging]),
    room("Prewarming", ["Audit", "Kubernetes", "Verification", lifecycle, logging]),
    room(
        "CountersignService",
        [
            "Azure", "CMemory", "Concurrency", "CustomResources", "Gatekeeper", "HTTP", "KeyManagement", "Kubernetes",
            "Kyverno", "Notation", "NotationVerifier", "OCI", "PKI", "Prewarming", "ProviderServer", "Quotation",
            "ServiceLogging", "SharedCache", "StrictJSON", "Verification", lifecycle, logging,
        ]),
    .executableTarget(
        name: "countersign",
        dependencies: ["CountersignService", "Audit", "Encoding", "Quotation", "Sigstore", argumentParser],
        swiftSettings: strict,
        linkerSettings: releaseLink),

    .target(
        name: "TestSupport",
        dependencies: [
            "COpenSSL", "PKI", "OCI", "HTTP", "Kubernetes", "Notation", "ServiceLogging", "StrictJSON", nio, nioPosix,
            nioHTTP1, nioSSL, logging,
        ],
        path: "Tests/TestSupport", swiftSettings: strict),
    // A running provider whose verdicts are in the keys, for the tests of the server and of the protocols.
    .target(
        name: "ProviderTestSupport",
        dependencies: ["Gatekeeper", "OCI", "ProviderServer", "TestSupport", "Verification", lifecycle, logging],
        path: "Tests/ProviderTestSupport", swiftSettings: strict),
    // Azure on loopback as a process (`make demo-azure`).
    .executableTarget(
        name: "azure-emulator", dependencies: ["TestSupport", argumentParser], path: "Tests/AzureEmulatorCommand",
        swiftSettings: strict),
    // Measures the rooms from inside, and the command as Gatekeeper sees it (`make bench`).
    .executableTarget(
        name: "countersign-bench",
        dependencies: [
            "HTTP", "Notation", "OCI", "PKI", "StrictJSON", "TestSupport", crypto, cryptoExtras, nio, nioPosix,
            nioHTTP1,
            nioSSL, nioTLS, argumentParser, histogram,
        ],
        path: "Benchmarks", exclude: ["Micro"], swiftSettings: strict),

    tests("EncodingTests", ["Encoding", "TestSupport"]),
    tests("QuotationTests", ["Quotation"]),
    tests("ConcurrencyTests", ["Concurrency", "TestSupport"]),
    tests("StrictJSONTests", ["StrictJSON"]),
    tests("AuditTests", ["Audit", "Kubernetes", "OCI", "StrictJSON", "TestSupport"]),
    tests("YAMLTests", ["YAML", "StrictJSON"]),
    tests("HTTPTests", ["HTTP", "TestSupport"]),
    tests("KubernetesTests", ["Kubernetes", "HTTP", "OCI", "PKI", "StrictJSON", "TestSupport"]),
    tests("OCITests", ["Concurrency", "OCI", "HTTP", "StrictJSON", "TestSupport"]),
    tests("PKITests", ["Encoding", "PKI", "TestSupport"]),
    tests("NotationTests", ["Encoding", "Notation", "TestSupport"]),
    tests("SigstoreTests", ["Encoding", "PKI", "Sigstore", "StrictJSON", "TestSupport", crypto]),
    tests("ConformanceTests", ["Notation", "HTTP", "OCI", "StrictJSON", "TestSupport"]),
    tests("TUFTests", ["TUF", "StrictJSON", "TestSupport"]),
    tests("KeyManagementTests", ["KeyManagement", "TestSupport"]),
    tests("AzureTests", ["Azure", "HTTP", "KeyManagement", "OCI", "PKI", "StrictJSON", "TestSupport"]),
    tests("ServiceLoggingTests", ["ServiceLogging", "StrictJSON", "TestSupport", logging]),
    tests("RedisTests", ["Redis", "TestSupport", logging, nio]),
    tests(
        "VerificationTests", ["Concurrency", "KeyManagement", "PKI", "Quotation", "Verification", "TestSupport"]),
    tests(
        "ProviderServerTests",
        [
            "ProviderServer", "Gatekeeper", "ProviderTestSupport", "StrictJSON", "TestSupport", "Verification", nio,
            nioPosix, nioEmbedded, nioExtras, nioHTTP1, nioSSL, logging,
        ]),
    tests(
        "GatekeeperTests",
        [
            "Gatekeeper", "ProviderServer", "ProviderTestSupport", "StrictJSON", "TestSupport", "Verification",
            nioPosix,
        ]),
    tests(
        "KyvernoTests",
        [
            "Kyverno", "CountersignService", "OCI", "PKI", "ProviderServer", "ProviderTestSupport", "StrictJSON",
            "TestSupport", "Verification", lifecycle, logging,
        ]),
    tests(
        "CustomResourcesTests",
        [
            "CustomResources", "CountersignService", "KeyManagement", "Kubernetes", "Notation", "NotationVerifier",
            "OCI", "PKI", "StrictJSON", "TestSupport", "Verification", logging,
        ]),
    tests("NotationVerifierTests", ["NotationVerifier", "KeyManagement", "Notation", "PKI", "TestSupport"]),
    tests("SharedCacheTests", ["SharedCache", "OCI", "StrictJSON", "Verification", crypto]),
    tests("PrewarmingTests", ["Prewarming", "TestSupport", "Verification"]),
    tests("CountersignServiceTests", ["CountersignService", "OCI", "StrictJSON", "Verification", logging]),
    tests(
        "IntegrationTests",
        [
            "CountersignService", "CustomResources", "ProviderServer", "Kyverno", "KeyManagement", "Verification",
            "Notation", "NotationVerifier", "OCI", "PKI", "HTTP", "StrictJSON", "Redis", "SharedCache", "Kubernetes",
            "ServiceLogging", "TestSupport", lifecycle, logging, nio, nioSSL,
        ]),
]

// `COUNTERSIGN_FUZZ=1 swift build --product countersign-fuzz` (scripts/fuzz): the fuzzers, and the rooms that they
// test instrumented for coverage and, in C, for AddressSanitizer too. Of Gatekeeper's protocol only what parses is
// built: a fuzzer of a parser does not wait for a server to compile.
if Context.environment["COUNTERSIGN_FUZZ"] != nil {
    let rooms = [
        "Encoding", "Quotation", "Concurrency", "StrictJSON", "YAML", "HTTP", "OCI", "PKI", "Notation", "KeyManagement",
        "Verification",
        "Gatekeeper",
    ]
    let instrumented = ["-sanitize=fuzzer,address", "-O", "-enable-testing"]
    targets.removeAll { !(rooms + ["CCurl", "COpenSSL", "CYAML"]).contains($0.name) }
    for target in targets {
        if rooms.contains(target.name) {
            target.swiftSettings = strict + [.unsafeFlags(instrumented)]
        } else {
            target.cSettings = [.unsafeFlags(["-fsanitize=fuzzer-no-link,address"])]
        }
        if target.name == "Gatekeeper" {
            target.sources = ["PlainRequest.swift", "ProviderRequest.swift", "ProviderResponseWriter.swift"]
            target.dependencies = ["Verification", "Quotation", "StrictJSON"]
        }
    }
    targets += [
        .target(name: "CFuzz", path: "Fuzz/CFuzz"),
        .executableTarget(
            name: "countersign-fuzz", dependencies: ["CFuzz", "COpenSSL"] + rooms.map { .init(stringLiteral: $0) },
            path: "Fuzz/Sources",
            swiftSettings: strict + [.unsafeFlags(["-sanitize=address"])],
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]),
    ]
}

// `COUNTERSIGN_MICRO=1 swift package benchmark` (scripts/bench-micro): the parts of a verification, each measured
// alone.
var dependencies: [Package.Dependency] = [
    .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0", traits: []),
    .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.34.1"),
    .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift.git", from: "0.2.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.2", traits: []),
]
if Context.environment["COUNTERSIGN_MICRO"] != nil {
    dependencies.append(.package(url: "https://github.com/ordo-one/benchmark.git", from: "1.38.1", traits: []))
    targets.append(
        .executableTarget(
            name: "countersign-micro",
            dependencies: [
                "Gatekeeper", "Notation", "OCI", "PKI", "StrictJSON", "TestSupport", "Verification",
                .product(name: "Benchmark", package: "benchmark"),
            ],
            path: "Benchmarks/Micro", swiftSettings: strict,
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]))
}

// `ROOMS=OCI,OCITests swift build` builds some rooms only: quicker while working on one of them.
if let only = Context.environment["ROOMS"]?.split(separator: ",").map(String.init) {
    targets.removeAll { !only.contains($0.name) }
}

let package = Package(
    name: "countersign",
    products: ["Notation", "Sigstore"].filter { name in targets.contains { $0.name == name } }
        .map { .library(name: $0, targets: [$0]) },
    dependencies: dependencies,
    targets: targets
)
