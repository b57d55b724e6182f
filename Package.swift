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
    room("Expressions"),
    room("StrictJSON", ["Encoding", "Quotation"]),
    room("YAML", ["CYAML", "Quotation", "StrictJSON"]),
    room("IPAddresses"),
    room("Files", ["Quotation"]),
    room("ChildProcess", ["Quotation", subprocess]),
    room("HTTP", ["CCurl", "Concurrency", "Encoding", "IPAddresses", "Quotation"]),
    room("OCI", ["Concurrency", "Encoding", "Files", "IPAddresses", "Quotation", "StrictJSON", crypto]),
    room(
        "OCIRegistry",
        ["ChildProcess", "Concurrency", "Encoding", "Files", "HTTP", "IPAddresses", "OCI", "Quotation", "StrictJSON"]),
    room("PKI", ["COpenSSL", "Encoding", "Quotation", crypto, cryptoExtras]),
    room("Notation", ["Concurrency", "Encoding", "OCI", "PKI", "Quotation", "StrictJSON", crypto, cryptoExtras]),
    room("NotationOnline", ["Concurrency", "Encoding", "HTTP", "IPAddresses", "Notation", "PKI", "Quotation", crypto]),
    .target(
        name: "Sigstore",
        dependencies: ["Concurrency", "Encoding", "Expressions", "PKI", "Quotation", "StrictJSON", crypto],
        // The trusted root of the public good instance, compiled in as it was published.
        resources: [.embedInCode("TrustedRoots/sigstore.dev.trusted_root.json")],
        swiftSettings: strict),
    .target(
        name: "TUF", dependencies: ["Encoding", "Files", "PKI", "Quotation", "StrictJSON", crypto],
        // Roots of Sigstore's repositories, compiled in as they were published.
        resources: [.embedInCode("Roots/sigstore.dev.root.json"), .embedInCode("Roots/github.root.json")],
        swiftSettings: strict),
    room(
        "SigstoreTrust",
        ["Concurrency", "Encoding", "Files", "HTTP", "KeyManagement", "PKI", "Quotation", "Sigstore", "TUF", crypto]),
    room("KeyManagement", ["Encoding", "PKI", "Quotation", crypto]),
    room("ServiceLogging", ["Encoding", "StrictJSON", nioPosix, logging]),
    room("Redis", ["Quotation", nio, nioPosix, nioSSL, logging]),
    room(
        "Azure",
        ["Concurrency", "Encoding", "HTTP", "KeyManagement", "OCI", "OCIRegistry", "PKI", "Quotation", "StrictJSON"]),
    room(
        "Kubernetes",
        [
            "ChildProcess", "Concurrency", "Encoding", "HTTP", "OCI", "OCIRegistry", "PKI", "Quotation", "StrictJSON",
            "YAML",
        ]),
    room("ServiceMetrics", ["Concurrency"]),
    room("ConfigurationModel", ["Concurrency", "Quotation", "StrictJSON"]),
    room(
        "Verification",
        [
            "Concurrency", "ConfigurationModel", "KeyManagement", "OCI", "Quotation", "ServiceMetrics", "StrictJSON",
            logging,
        ]),
    room(
        "Audit",
        [
            "Concurrency", "Encoding", "KeyManagement", "Kubernetes", "OCI", "PKI", "Quotation", "StrictJSON",
            "Verification", "YAML",
        ]),
    room(
        "ProviderServer",
        [
            "Concurrency", "Encoding", "OCI", "PKI", "Quotation", "ServiceLogging", "ServiceMetrics", "StrictJSON",
            "Verification", httpTypes, nio, nioPosix, nioHTTP1, nioExtras, nioTLS, nioSSL, lifecycle, logging,
        ]),
    room(
        "Gatekeeper",
        [
            "Concurrency", "ProviderServer", "Quotation", "ServiceLogging", "ServiceMetrics", "StrictJSON",
            "Verification", httpTypes, nio, nioHTTP1, logging,
        ]),
    room(
        "Kyverno",
        [
            "Concurrency", "OCI", "PKI", "ProviderServer", "Quotation", "ServiceMetrics", "StrictJSON", "Verification",
            httpTypes, nio, nioHTTP1, nioSSL, logging,
        ]),
    room(
        "NotationVerifier",
        [
            "Encoding", "KeyManagement", "Notation", "NotationOnline", "OCI", "PKI", "Quotation", "ServiceMetrics",
            "StrictJSON", "Verification", lifecycle,
        ]),
    room(
        "CosignVerifier",
        [
            "Encoding", "KeyManagement", "OCI", "Quotation", "Sigstore", "SigstoreTrust", "StrictJSON", "Verification",
        ]),
    room(
        "CustomResources",
        [
            "Concurrency", "ConfigurationModel", "KeyManagement", "Kubernetes", "OCI", "Quotation", "ServiceMetrics",
            "StrictJSON", "Verification", "YAML", lifecycle, logging,
        ]),
    room(
        "SharedCache",
        [
            "ConfigurationModel", "Encoding", "OCI", "OCIRegistry", "Redis", "ServiceMetrics", "StrictJSON",
            "Verification", crypto, lifecycle, logging,
        ]),
    room(
        "Prewarming",
        ["Audit", "ConfigurationModel", "Kubernetes", "ServiceMetrics", "Verification", lifecycle, logging]),
    room(
        "CountersignService",
        [
            "Azure", "CMemory", "Concurrency", "ConfigurationModel", "CosignVerifier", "CustomResources", "Encoding",
            "Expressions", "Gatekeeper", "HTTP", "IPAddresses", "KeyManagement", "Kubernetes", "Kyverno", "Notation",
            "NotationOnline", "NotationVerifier", "OCI", "OCIRegistry", "PKI", "Prewarming", "ProviderServer",
            "Quotation", "ServiceLogging", "ServiceMetrics", "SharedCache", "Sigstore", "SigstoreTrust", "StrictJSON",
            "TUF", "Verification", lifecycle, logging,
        ]),
    .executableTarget(
        name: "countersign",
        dependencies: [
            "CountersignService", "Audit", "CosignVerifier", "Encoding", "Expressions", "Quotation", "Sigstore",
            "SigstoreTrust", argumentParser,
        ],
        swiftSettings: strict,
        linkerSettings: releaseLink),

    .target(
        name: "TestSupport",
        dependencies: [
            "COpenSSL", "Encoding", "PKI", "OCI", "OCIRegistry", "HTTP", "Kubernetes", "Notation", "ServiceLogging",
            "StrictJSON",
            nio, nioPosix,
            nioHTTP1, nioSSL, logging,
        ],
        path: "Tests/TestSupport", swiftSettings: strict),
    // A running provider whose verdicts are in the keys, for the tests of the server and of the protocols.
    .target(
        name: "ProviderTestSupport",
        dependencies: [
            "ConfigurationModel", "Gatekeeper", "OCI", "ProviderServer", "ServiceMetrics", "TestSupport",
            "Verification", lifecycle, logging,
        ],
        path: "Tests/ProviderTestSupport", swiftSettings: strict),
    // A whole Sigstore instance in the test's process, and what is signed with it.
    .target(
        name: "SigstoreTestSupport",
        dependencies: ["Encoding", "PKI", "Sigstore", "StrictJSON", "TestSupport", crypto],
        path: "Tests/SigstoreTestSupport", swiftSettings: strict),
    // Azure on loopback as a process (`make demo-azure`).
    .executableTarget(
        name: "azure-emulator", dependencies: ["TestSupport", argumentParser], path: "Tests/AzureEmulatorCommand",
        swiftSettings: strict),
    // Measures the rooms from inside, and the command as Gatekeeper sees it (`make bench`).
    .executableTarget(
        name: "countersign-bench",
        dependencies: [
            "Expressions", "HTTP", "Notation", "NotationOnline", "OCI", "OCIRegistry", "PKI", "Sigstore", "StrictJSON",
            "TestSupport", crypto, cryptoExtras, nio, nioPosix, nioHTTP1,
            nioSSL, nioTLS, argumentParser, histogram,
        ],
        path: "Benchmarks", exclude: ["Micro"], swiftSettings: strict),

    tests("EncodingTests", ["Encoding", "PKI", "TestSupport"]),
    tests("QuotationTests", ["Quotation"]),
    tests("ConcurrencyTests", ["Concurrency", "TestSupport"]),
    tests("IPAddressesTests", ["IPAddresses"]),
    tests("FilesTests", ["Files", "TestSupport"]),
    tests("ChildProcessTests", ["ChildProcess", "TestSupport"]),
    tests("ServiceMetricsTests", ["Concurrency", "ServiceMetrics"]),
    tests("ConfigurationModelTests", ["ConfigurationModel", "StrictJSON", "Verification"]),
    tests("ExpressionsTests", ["Expressions"]),
    tests("StrictJSONTests", ["StrictJSON"]),
    tests("AuditTests", ["Audit", "TestSupport"]),
    tests("YAMLTests", ["StrictJSON", "YAML"]),
    tests("HTTPTests", ["Concurrency", "HTTP", "IPAddresses", "TestSupport"]),
    tests("KubernetesTests", ["HTTP", "Kubernetes", "OCI", "OCIRegistry", "PKI", "StrictJSON", "TestSupport"]),
    tests("OCITests", ["OCI", "StrictJSON", "TestSupport"]),
    tests("OCIRegistryTests", ["Concurrency", "HTTP", "OCI", "OCIRegistry", "TestSupport"]),
    tests("PKITests", ["Encoding", "PKI", "TestSupport"]),
    tests("NotationTests", ["Encoding", "Notation", "OCI", "PKI", "StrictJSON", "TestSupport"]),
    tests(
        "SigstoreTests",
        [
            "Encoding", "Expressions", "KeyManagement", "PKI", "Sigstore", "SigstoreTestSupport", "SigstoreTrust",
            "StrictJSON", "TestSupport", crypto,
        ]),
    tests("NotationOnlineTests", ["HTTP", "Notation", "NotationOnline", "PKI", "TestSupport"]),
    tests("ConformanceTests", ["HTTP", "Notation", "NotationOnline", "OCI", "StrictJSON", "TestSupport"]),
    tests("TUFTests", ["Files", "StrictJSON", "TUF", "TestSupport"]),
    tests(
        "SigstoreTrustTests",
        ["Encoding", "HTTP", "KeyManagement", "PKI", "Sigstore", "SigstoreTrust", "TUF", "TestSupport", crypto]),
    tests("KeyManagementTests", ["KeyManagement", "PKI", "TestSupport"]),
    tests("AzureTests", ["Azure", "HTTP", "KeyManagement", "OCI", "OCIRegistry", "PKI", "StrictJSON", "TestSupport"]),
    tests("ServiceLoggingTests", ["ServiceLogging", "StrictJSON", "TestSupport", logging]),
    tests("RedisTests", ["Redis", "TestSupport", logging, nio]),
    tests(
        "VerificationTests",
        [
            "ConfigurationModel", "KeyManagement", "OCI", "PKI", "Quotation", "ServiceMetrics", "StrictJSON",
            "TestSupport", "Verification",
        ]),
    tests(
        "ProviderServerTests",
        [
            "Gatekeeper", "ProviderServer", "ProviderTestSupport", "ServiceMetrics", "StrictJSON", "TestSupport", nio,
            nioPosix, nioEmbedded, nioExtras, nioHTTP1, nioSSL, logging,
        ]),
    tests(
        "GatekeeperTests",
        [
            "Gatekeeper", "ProviderServer", "ProviderTestSupport", "ServiceMetrics", "StrictJSON", "TestSupport",
            nioPosix,
        ]),
    tests(
        "KyvernoTests",
        [
            "ConfigurationModel", "CountersignService", "Kyverno", "OCI", "OCIRegistry", "PKI", "ProviderServer",
            "ProviderTestSupport", "ServiceMetrics", "StrictJSON", "TestSupport", "Verification", lifecycle, logging,
        ]),
    tests(
        "CustomResourcesTests",
        [
            "ConfigurationModel", "CountersignService", "CustomResources", "KeyManagement", "Kubernetes", "Notation",
            "NotationOnline", "NotationVerifier", "OCI", "PKI", "ServiceMetrics", "StrictJSON", "TestSupport",
            "Verification", "YAML", logging,
        ]),
    tests("NotationVerifierTests", ["KeyManagement", "Notation", "NotationVerifier", "PKI", "TestSupport"]),
    tests(
        "CosignVerifierTests",
        [
            "ConfigurationModel", "CosignVerifier", "Encoding", "Expressions", "KeyManagement", "OCI", "PKI",
            "ServiceMetrics", "Sigstore", "SigstoreTestSupport",
            "SigstoreTrust", "StrictJSON", "TestSupport", "Verification",
        ]),
    tests("SharedCacheTests", ["ConfigurationModel", "OCI", "OCIRegistry", "SharedCache", "StrictJSON", crypto]),
    tests("PrewarmingTests", ["Prewarming", "TestSupport", "Verification"]),
    tests(
        "CountersignServiceTests",
        [
            "ConfigurationModel", "CosignVerifier", "CountersignService", "Encoding", "KeyManagement", "OCI",
            "OCIRegistry", "PKI", "ServiceMetrics", "Sigstore", "SigstoreTrust", "StrictJSON", "TUF", "TestSupport",
            "Verification", logging,
        ]),
    tests(
        "IntegrationTests",
        [
            "Concurrency", "ConfigurationModel", "CountersignService", "CustomResources", "HTTP", "Kubernetes",
            "Kyverno", "Notation", "NotationOnline", "OCI", "OCIRegistry", "PKI", "ProviderServer", "Redis",
            "ServiceLogging", "ServiceMetrics", "SharedCache", "Sigstore", "SigstoreTestSupport", "StrictJSON",
            "TestSupport", "Verification", lifecycle, logging, nio, nioSSL,
        ]),
]

// `COUNTERSIGN_FUZZ=1 swift build --product countersign-fuzz` (scripts/fuzz): the fuzzers, and the rooms that they
// test instrumented for coverage and, in C, for AddressSanitizer too. Of Gatekeeper's protocol only what parses is
// built: a fuzzer of a parser does not wait for a server to compile.
if Context.environment["COUNTERSIGN_FUZZ"] != nil {
    let rooms = [
        "Encoding", "Quotation", "Concurrency", "Expressions", "StrictJSON", "YAML", "IPAddresses", "Files",
        "ChildProcess", "HTTP", "OCI", "OCIRegistry", "PKI", "Notation", "NotationOnline", "KeyManagement",
        "ServiceMetrics", "ConfigurationModel",
        "Verification", "Gatekeeper", "Sigstore", "TUF",
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
            target.sources = ["ProviderRequest.swift", "ProviderResponseWriter.swift"]
            target.dependencies = ["ConfigurationModel", "Verification", "Quotation", "StrictJSON"]
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
    products: ["Notation", "NotationOnline", "OCIRegistry", "Sigstore"].filter { name in
        targets.contains { $0.name == name }
    }
    .map { .library(name: $0, targets: [$0]) },
    dependencies: dependencies,
    targets: targets
)
