import OCI
import Quotation

/// A scope of a trust policy for cosign's signatures: one reference, or the beginning of references.
///
/// It is matched with the normalised reference, whatever spelling was asked for: the registry's canonical name, the
/// whole repository (`docker.io/library/nginx`), then a tag or a digest.
package struct CosignScope: Hashable, Sendable, CustomStringConvertible {
    /// The scope of whatever no other scope fits.
    package static let global = "*"

    /// The scope as it was written.
    package let description: String
    /// The registry; nil for a beginning that ends within its name.
    private let registry: RegistryName?
    /// What follows the registry: `team/app:v1`, `team/`; without a registry the beginning itself.
    private let path: String
    /// Whether it is the beginning of references.
    private let isPrefix: Bool

    /// Reads a scope other than ``global``.
    package init(parsing text: String) throws(CosignPolicyError) {
        func fault(_ problem: String) -> CosignPolicyError {
            CosignPolicyError("scopes", "has \"\(text.quoted)\": \(problem)")
        }
        let isPrefix = text.utf8.last == UInt8(ascii: "*")
        let body = isPrefix ? String(text.dropLast()) : text
        guard !body.isEmpty else { throw fault("expected a reference, the beginning of references and *, or * alone") }
        guard body.utf8.count <= ImageReference.maximumLength, body.utf8.allSatisfy(Self.isPossible) else {
            throw fault(
                "it has characters that no reference has; a * is possible at the end only, and stands for any text there"
            )
        }
        description = text
        self.isPrefix = isPrefix
        guard isPrefix else {
            let reference: ImageReference
            do { reference = try ImageReference(parsing: body) } catch { throw fault(error.description) }
            guard reference.tag == nil || reference.digest == nil else {
                throw fault("it has a tag and a digest; keep the digest, which says which image it is")
            }
            registry = reference.written
            path = reference.pathText
            return
        }
        guard let slash = body.firstIndex(of: "/") else {
            guard body.contains(where: { ".:".contains($0) }) || body == "localhost" else {
                throw fault(
                    "it does not begin with a registry: write docker.io/library/\(body)* for images of Docker Hub")
            }
            registry = nil
            path = body.lowercased()
            return
        }
        let first = body[..<slash]
        let rest = String(body[body.index(after: slash)...])
        guard first == "localhost" || first.contains(where: { ".:".contains($0) }) else {
            guard !Self.hasUpperCaseName(body), !body.contains(where: { "[]".contains($0) }) else {
                throw fault("repositories are in lower case")
            }
            // A namespace of Docker Hub, as in references.
            registry = RegistryName(parsing: "docker.io")
            path = body
            return
        }
        guard let name = RegistryName(parsing: first) else {
            throw fault("\"\(String(first).quoted)\" is not a registry's host name or address with an optional port")
        }
        if name.place == RegistryName.dockerHub, !rest.isEmpty, !rest.contains("/") {
            throw fault(
                "images of Docker Hub are in a namespace: write docker.io/library/\(rest)* or docker.io/\(rest)/*")
        }
        guard !Self.hasUpperCaseName(rest) else { throw fault("repositories are in lower case") }
        registry = name
        path = rest
    }

    /// Tags may have letters of both cases, names of repositories may not.
    private static func hasUpperCaseName(_ path: String) -> Bool {
        path.prefix { $0 != ":" && $0 != "@" }.utf8.contains { (0x41...0x5A).contains($0) }
    }

    private static func isPossible(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "._-:@/[]".utf8.contains(byte)
        }
    }

    /// What is dangerous about the scope; nil when nothing is.
    package var warning: String? {
        guard registry == nil else { return nil }
        return "has \"\(description.quoted)\", which fits every registry whose name begins so: put a slash before the *"
    }

    // MARK: Matching

    /// How a scope fits an image.
    enum Fit: Sendable {
        /// By its digest alone: the scope names the digest.
        case digest
        /// By whatever tag or digest: the scope is the beginning of the repository's name, or all of it.
        case repository
        /// By the tag that was asked for.
        case tag
        /// By some tag, which nobody can tell of an image that is asked for by digest.
        case someTag
    }

    /// How the scope fits an image; nil when it does not.
    ///
    /// - Parameter digest: the digest that is judged; the image's own, if it was asked for by one, is another one for a
    ///   manifest of an index.
    func fit(_ reference: ImageReference, digest: Digest) -> Fit? {
        guard let repository = repository(of: reference) else { return nil }
        if isPrefix, repository.hasBytePrefix(path) { return .repository }
        for digest in [reference.digest, digest].compactMap(\.self) {
            let byDigest = "\(repository)@\(digest)"
            if isPrefix ? byDigest.hasBytePrefix(path) : byDigest == path { return .digest }
        }
        if reference.digest == nil, let tag = reference.tag {
            let byTag = "\(repository):\(tag)"
            return (isPrefix ? byTag.hasBytePrefix(path) : byTag == path) ? .tag : nil
        }
        return path.hasBytePrefix("\(repository):") ? .someTag : nil
    }

    /// Whether it is for tags of an image's repository.
    func isForTags(of reference: ImageReference) -> Bool {
        repository(of: reference).map { path.hasBytePrefix("\($0):") } ?? false
    }

    /// What the scope's path is compared with; nil for an image of another registry.
    private func repository(of reference: ImageReference) -> String? {
        guard let registry else { return reference.scopeName }
        return registry.mayBeSame(as: reference.written, over: reference.transport) ? reference.repository : nil
    }

    /// Whether some reference fits both.
    func overlaps(_ other: CosignScope) -> Bool {
        switch (registry, other.registry) {
        case (let own?, let its?):
            guard [.https, .http, .either].contains(where: { own.mayBeSame(as: its, over: $0) }) else { return false }
            return Self.overlap(path, isPrefix, other.path, other.isPrefix)
        default:
            return Self.overlap(wholeText, isPrefix, other.wholeText, other.isPrefix)
        }
    }

    private var wholeText: String { registry.map { "\($0.place)/\(path)" } ?? path }

    private static func overlap(_ left: String, _ isLeftOpen: Bool, _ right: String, _ isRightOpen: Bool) -> Bool {
        switch (isLeftOpen, isRightOpen) {
        case (true, true): left.hasBytePrefix(right) || right.hasBytePrefix(left)
        case (true, false): right.hasBytePrefix(left)
        case (false, true): left.hasBytePrefix(right)
        case (false, false): left == right
        }
    }
}

extension ImageReference {
    /// Repository and tag, or repository and digest.
    fileprivate var pathText: String {
        if let digest { return "\(repository)@\(digest)" }
        return "\(repository):\(tag ?? "latest")"
    }
}

extension String {
    /// Whether it begins with another text, byte by byte.
    fileprivate func hasBytePrefix(_ prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }
}
