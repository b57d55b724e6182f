import ConfigurationModel
import Crypto
import OCI
import OCIRegistry
import StrictJSON
import Testing

@testable import SharedCache

/// Under which names content is shared.
@Suite struct RedisContentTests {
    private let key = SymmetricKey(data: Array(repeating: 7, count: 32))
    private let content = ContentKey(kind: .blob, scope: "registry.example/app", digest: Digest(of: [1]))

    private func store(
        _ name: String = "oras", parameters: JSONObject = ["name": "oras"], namespace: String? = nil
    ) -> ServiceConfiguration.StorePlugin {
        ServiceConfiguration.StorePlugin(
            name: name, type: .oras, parameters: parameters, path: "store", namespace: namespace)
    }

    private func name(_ content: ContentKey, _ store: ServiceConfiguration.StorePlugin) -> String {
        RedisContent.name(content, in: RedisContent.bytes(of: store), key: key)
    }

    @Test func everyStoreHasItsOwn() {
        let usual = name(content, store())
        #expect(name(content, store()) == usual)
        #expect(usual.hasPrefix("countersign:1:content:") && usual.utf8.count == 22 + 64)
        let others = [
            name(content, store(namespace: "team")), name(content, store(namespace: "team-b")),
            name(content, store("team")), name(content, store(namespace: "")),
            name(content, store(parameters: ["name": "oras", "cosignEnabled": true])),
            name(content, store(parameters: ["name": "oras", "authProvider": ["name": "dockerConfig"]])),
            name(ContentKey(kind: .manifest, scope: content.scope, digest: content.digest), store()),
            name(ContentKey(kind: .blob, scope: "registry.example/app2", digest: content.digest), store()),
            name(ContentKey(kind: .blob, scope: content.scope, digest: Digest(of: [2])), store()),
            RedisContent.name(
                content, in: RedisContent.bytes(of: store()), key: SymmetricKey(data: Array(repeating: 8, count: 32))),
        ]
        #expect(Set(others + [usual]).count == others.count + 1)
    }
}
