import Crypto
import Encoding
import Quotation
import StrictJSON

/// A role that some targets are left to (specification, section 4.5).
struct Delegation: Hashable, Sendable {
    /// Which targets the role may provide.
    enum Scope: Hashable, Sendable {
        case paths([PathPattern])
        /// The beginnings of the SHA-256 of the target's name, in lower-case hexadecimal.
        case hashPrefixes([String])
    }

    /// The longest name of a role, in bytes: it is part of the name of a file where metadata is kept.
    private static let maximumNameLength = 200

    let name: String
    let signing: SigningRole
    let scope: Scope
    /// Whether no role after this one is asked for targets that this one may provide.
    let isTerminating: Bool

    init(_ members: MetadataMembers) throws(TUFError.Problem) {
        name = try members.string("name")
        guard !name.isEmpty, TopLevelRole(rawValue: name) == nil else {
            throw members.fault("name", "is empty, or that of a top-level role")
        }
        guard PercentEncoding.encode(name).utf8.count <= Self.maximumNameLength else {
            throw members.fault("name", "is longer than \(Self.maximumNameLength) bytes when percent-encoded")
        }
        signing = try SigningRole(members)
        isTerminating = try members.bool("terminating")
        switch (members.object["paths"], members.object["path_hash_prefixes"]) {
        case (.some, nil): scope = .paths(try members.strings("paths").map(PathPattern.init))
        case (nil, .some):
            let prefixes = try members.strings("path_hash_prefixes")
            let isHex = prefixes.allSatisfy { prefix in
                (1...64).contains(prefix.utf8.count)
                    && prefix.utf8.allSatisfy { Hex.value(of: $0).map(Hex.digit) == $0 }
            }
            guard isHex else {
                throw members.fault("path_hash_prefixes", "has one that is not 1 to 64 lower-case hexadecimal digits")
            }
            scope = .hashPrefixes(prefixes)
        default: throw .malformed("\(members.place) must have \"paths\" or \"path_hash_prefixes\", not both")
        }
    }

    /// Whether the role may provide a target.
    func covers(_ path: String) -> Bool {
        switch scope {
        case .paths(let patterns): return patterns.contains { $0.matches(path) }
        case .hashPrefixes(let prefixes):
            let digest = Hex.text(SHA256.hash(data: Array(path.utf8)))
            return prefixes.contains { digest.utf8.starts(with: $0.utf8) }
        }
    }
}

/// PATHPATTERN (specification, section 4.5): `*` stands for any characters, `?` for one, neither for `/`. Everything
/// else stands for itself, brackets too.
struct PathPattern: Hashable, Sendable {
    private let segments: [[UnicodeScalar]]

    init(_ text: String) { segments = Self.segments(text) }

    func matches(_ path: String) -> Bool {
        let others = Self.segments(path)
        return segments.count == others.count && zip(segments, others).allSatisfy(Self.matches)
    }

    private static func segments(_ text: String) -> [[UnicodeScalar]] {
        text.unicodeScalars.split(separator: "/", omittingEmptySubsequences: false).map(Array.init)
    }

    /// Looks back to the last `*` only, which suffices: the time is the product of both lengths at most.
    private static func matches(_ pattern: [UnicodeScalar], _ text: [UnicodeScalar]) -> Bool {
        var (p, t) = (0, 0)
        var star: (pattern: Int, text: Int)?
        while t < text.count {
            if p < pattern.count, pattern[p] == "*" {
                star = (p, t)
                p += 1
            } else if p < pattern.count, pattern[p] == "?" || pattern[p] == text[t] {
                p += 1
                t += 1
            } else if let last = star {
                p = last.pattern + 1
                t = last.text + 1
                star = (last.pattern, t)
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == "*" }
    }
}
