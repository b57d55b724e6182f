import OCI
import Quotation

/// A scope of a trust policy statement that is a repository: `registry.example/team/app` (trust store and trust policy
/// specification, "OCI Trust Policy Constraints").
///
/// The specification compares texts. But one registry has several spellings, all of which lead to the same image, and
/// whoever chooses the spelling would choose the statement. So canonical names of registries are compared
/// (``RegistryName``).
struct RegistryScope: Sendable {
    /// The global scope.
    static let global = "*"

    /// The registry as it was written.
    let registry: RegistryName
    /// The repository.
    let repository: String

    /// The repository at all registries that this one may be: what scopes are looked up by.
    var place: String { registry.place(of: repository) }

    /// The registry as it was written, and the full name of the repository.
    var description: String { "\(registry)/\(repository)" }

    /// The scope of an image.
    init(of reference: ImageReference) {
        registry = reference.written
        repository = reference.repository
    }

    /// Reads a scope, which is one fully qualified repository.
    init(parsing scope: String) throws(TrustPolicyError) {
        guard scope.utf8.count <= 1 || !scope.utf8.contains(UInt8(ascii: "*")) else {
            throw TrustPolicyError(
                "the registry scope \"\(scope.quoted)\" has a wildcard in it; only \"*\" alone is possible")
        }
        let parts = scope.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count >= 2, let domain = parts.first, Self.isDomain(domain),
            parts.dropFirst().allSatisfy(Self.isComponent)
        else {
            throw TrustPolicyError(
                "the registry scope \"\(scope.quoted)\" is not a repository: expected registry/repository, without "
                    + "scheme, tag or digest, for example registry.example.com/team/app")
        }
        guard let registry = RegistryName(parsing: scope[domain.startIndex..<domain.endIndex]) else {
            throw TrustPolicyError(
                "the registry scope \"\(scope.quoted)\" names a registry that no image can have: expected a host "
                    + "name, or an address of four numbers, and a port from 1 to 65535 if there is one")
        }
        self.registry = registry
        repository = registry.canonical().fullRepository(scope[domain.endIndex...].dropFirst())
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    /// Labels of letters, digits and inner hyphens, joined by dots, with an optional port.
    private static func isDomain(_ domain: Substring.UTF8View.SubSequence) -> Bool {
        let parts = domain.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count <= 2, let host = parts.first else { return false }
        if parts.count == 2, parts[1].isEmpty || !parts[1].allSatisfy({ (0x30...0x39).contains($0) }) { return false }
        return host.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.first, let last = label.last else { return false }
            return isAlphanumeric(first) && isAlphanumeric(last)
                && label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
    }

    /// A component of a repository (distribution specification): lower-case letters and digits, joined by one `.`, one
    /// or two `_`, or any number of `-`.
    private static func isComponent(_ component: Substring.UTF8View.SubSequence) -> Bool {
        func isWord(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) }
        var rest = component[...]
        guard let first = rest.first, isWord(first) else { return false }
        while !rest.isEmpty {
            rest = rest.drop(while: isWord)
            guard let separator = rest.first else { return true }
            let run = rest.prefix { $0 == separator }.count
            switch separator {
            case UInt8(ascii: ".") where run == 1: break
            case UInt8(ascii: "_") where run <= 2: break
            case UInt8(ascii: "-"): break
            default: return false
            }
            rest = rest.dropFirst(run)
            guard let next = rest.first, isWord(next) else { return false }
        }
        return true
    }
}
