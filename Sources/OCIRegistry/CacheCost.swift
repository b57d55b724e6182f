import OCI

// What entries of caches take in memory, about: what strangers choose the length of counts by its length, all else by a
// constant that includes the book-keeping.

extension Descriptor {
    var cacheCost: Int {
        annotations.reduce(320 + mediaType.utf8.count + (artifactType?.utf8.count ?? 0)) {
            $0 + $1.key.utf8.count + $1.value.utf8.count + 96
        }
    }
}

extension ImageReference {
    var cacheCost: Int { registry.utf8.count + repository.utf8.count + (tag?.utf8.count ?? 0) + 384 }
}

extension AuthorizationKey {
    var cacheCost: Int { endpoint.utf8.count + repository.utf8.count + 256 }
}

extension AuthorizationScheme {
    var cacheCost: Int {
        guard case .bearer(let realm, let service, let scope, _) = self else { return 128 }
        return realm.target.utf8.count + (service?.utf8.count ?? 0) + scope.utf8.count + 384
    }
}

extension TokenQuestion {
    var cacheCost: Int {
        endpoint.utf8.count + realm.target.utf8.count + (service?.utf8.count ?? 0) + scope.utf8.count + 512
    }
}
