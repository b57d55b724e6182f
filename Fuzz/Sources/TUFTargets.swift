import FoundationEssentials
import StrictJSON

@testable import TUF

private let moment = Date(timeIntervalSince1970: 1_780_000_000)
private let shipped = ShippedRoot.allCases.compactMap { try? RootMetadata(trusted: $0.bytes) }

let tufTargets = [
    FuzzTarget("tuf", maximumLength: 16_384) { bytes in
        require(shipped.count == ShippedRoot.allCases.count, "a root that is compiled in is not trusted")
        for root in shipped {
            do {
                _ = try root.successor(bytes)
                violated("a root that nobody has signed follows")
            } catch { requireReadable(error) }
            do {
                _ = try MetadataChecks.timestampWithoutTime(bytes, root: root)
                violated("a timestamp that nobody has signed")
            } catch { requireReadable(error) }
        }
        let metadata: SignedMetadata
        do { metadata = try SignedMetadata(bytes) } catch {
            requireReadable(error)
            return
        }
        requireCanonical(metadata)
        var kinds = 0
        func read<Value>(_ work: () throws -> Value) -> Value? {
            do {
                let value = try work()
                kinds += 1
                return value
            } catch {
                requireReadable(error)
                return nil
            }
        }
        _ = read { try RootMetadata(unverified: metadata) }
        _ = read { try TimestampMetadata(metadata) }
        if let snapshot = read({ try SnapshotMetadata(metadata) }) {
            require((try? snapshot.checkNotOlder(than: snapshot)) != nil, "a snapshot older than itself")
        }
        if let targets = read({ try TargetsMetadata(metadata) }) {
            for delegation in targets.delegations.prefix(16) {
                require(
                    !StoredItem.targets(role: delegation.name, version: 1).fileName.contains("/"), "a path as a name")
                _ = delegation.covers("a/b.c")
                require(
                    (try? targets.verify(metadata, as: delegation, owner: "x")) == nil
                        || delegation.signing.threshold > 0,
                    "a threshold of nobody")
            }
        }
        require(kinds <= 1, "metadata of two types at once")
    },
    // A pattern, a line feed, and a path.
    FuzzTarget("tuf-path", maximumLength: 512) { bytes in
        guard let text = text(bytes) else { return }
        let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let (pattern, path) = (parts[0], parts.last ?? "")
        if !pattern.contains(where: { "*?".contains($0) }) {
            let isSame = pattern.unicodeScalars.elementsEqual(path.unicodeScalars)
            require(PathPattern(pattern).matches(path) == isSame, "a pattern without wildcards is no path")
        }
        require(
            !PathPattern(pattern).matches(path + "/") || pattern.hasSuffix("/") || pattern.hasSuffix("*"), "a separator"
        )
        guard let location = RepositoryPath.target(path, below: "targets", prefix: "00") else { return }
        require(location.hasPrefix("targets/"), "a target elsewhere")
        let segments = location.split(separator: "/", omittingEmptySubsequences: false)
        require(segments.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }, "a segment that leads elsewhere")
        require(
            location.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x5C }, "a character that is not escaped")
    },
]

/// The canonical form says the same, and does not depend on the order of members.
private func requireCanonical(_ metadata: SignedMetadata) {
    let value = JSONValue.object(metadata.signed)
    guard let again = try? CanonicalJSON.bytes(reversed(value)) else { violated("no canonical form in another order") }
    require(again == metadata.signedBytes, "another canonical form in another order")
    // Strings have control characters as they are, which JSON has not.
    guard metadata.signedBytes.allSatisfy({ $0 >= 0x20 }) else { return }
    guard let read = try? StrictJSON.parse(metadata.signedBytes) else { violated("the canonical form is no JSON") }
    require(read == value, "the canonical form says something else")
}

/// The same with the members of all objects in the opposite order.
private func reversed(_ value: JSONValue) -> JSONValue {
    switch value {
    case .array(let elements): return .array(elements.map(reversed))
    case .object(let object):
        var other = JSONObject()
        for member in object.members.reversed() { other[member.name] = reversed(member.value) }
        return .object(other)
    default: return value
    }
}
