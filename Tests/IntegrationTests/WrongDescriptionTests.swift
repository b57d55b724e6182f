import OCI
import TestSupport
import Testing

/// A registry that for a moment says something wrong of an image: what it says then must not count for longer.
@Suite struct WrongDescriptionTests {
    /// What is wrong in the answer about a manifest.
    enum Lie: String, CaseIterable {
        case size, type, digest, typeOfContent

        func inject(_ registry: FaultyRegistry, _ repository: String, count: Int? = nil) {
            let path = "/v2/\(repository)/manifests/*"
            switch self {
            case .size: registry.inject(.header("Content-Length", "529"), method: "HEAD", path: path, count: count)
            case .type:
                registry.inject(.header("Content-Type", MediaType.ociIndex), method: "HEAD", path: path, count: count)
            case .digest:
                let other = Digest(of: Array("another".utf8)).description
                registry.inject(
                    .header("Docker-Content-Digest", other), method: "HEAD", path: path, count: count)
            case .typeOfContent:
                // What HEAD does not say, GET does.
                registry.inject(.status(405), method: "HEAD", path: path, count: count)
                registry.inject(.header("Content-Type", MediaType.ociIndex), method: "GET", path: path, count: count)
            }
        }
    }

    private func withImage(
        _ body: (FaultyRegistry, RunningService, _ tag: String, _ pinned: String) async throws -> Void
    ) async throws {
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            let image = try await app.push("v1", signedBy: try Signers.shared.get().release)
            try await withService(try .trustingRelease(), remembers: .zero) { service in
                try await body(registry, service, app.name("v1"), app.name(image))
            }
        }
    }

    @Test(arguments: Lie.allCases, [false, true])
    func isDeniedWhileItLastsAndForgottenAfterwards(_ lie: Lie, byTag: Bool) async throws {
        try await withImage { registry, service, tag, pinned in
            lie.inject(registry, "app")
            let denial = try await service.verify(byTag ? tag : pinned)
            expectDenied(denial)
            registry.clearFaults()
            expectAdmitted(try await service.verify(pinned))
            expectAdmitted(try await service.verify(tag))
        }
    }

    /// Before an image is denied for it, the registry is asked once more.
    @Test(arguments: [Lie.size, .type]) func onceIsNotSeen(_ lie: Lie) async throws {
        try await withImage { registry, service, tag, pinned in
            for name in [tag, pinned] {
                lie.inject(registry, "app", count: 1)
                expectAdmitted(try await service.verify(name))
            }
        }
    }

    /// A registry that says another type for good is believed, though it said the right one before.
    @Test func aChangeForGoodIsADenialThatNamesBoth() async throws {
        try await withImage { registry, service, tag, pinned in
            expectAdmitted(try await service.verify(pinned))
            Lie.type.inject(registry, "app")
            for _ in 0..<2 {
                expectDenied(try await service.verify(tag), nil, "another artifact", MediaType.ociIndex)
            }
        }
    }
}
