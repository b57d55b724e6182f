import Quotation

/// The name of an image: registry, repository, and a tag, a digest or both.
///
/// The grammar is the one of `distribution/reference`, which kubelets, containerd and Docker use, with Docker's
/// normalisation: `nginx` is `docker.io/library/nginx:latest`. Where they keep a spelling that leads to the same
/// place, this type has one spelling, so that a trust policy's scope cannot be dodged by writing it another way:
/// the registry is a canonical ``RegistryName``.
public struct ImageReference: Hashable, Sendable, CustomStringConvertible {
    /// The registry: its canonical name, without the port that ``transport`` means anyway; `docker.io` for Docker Hub.
    public let registry: String
    /// The repository: `library/nginx`.
    public let repository: String
    /// The tag; `latest` when the text had neither a tag nor a digest. With a digest the tag is for messages only.
    public let tag: String?
    /// The digest, which decides when there is one.
    public let digest: Digest?
    /// How the registry is spoken to: what a name without a port means.
    public let transport: RegistryTransport
    /// The registry with the port that was written.
    ///
    /// It is no part of what a reference is: two spellings of a registry make equal references. Who pulls an image may
    /// have credentials and mirrors by the spelling, though, so that what is handed back to be pulled keeps it.
    package let written: RegistryName

    /// The most bytes a reference's text may have.
    public static let maximumLength = 1024
    /// The most bytes a repository may have (`distribution/reference`, `RepositoryNameTotalLengthMax`).
    public static let maximumRepositoryLength = 255
    /// The most bytes a tag may have (distribution specification, "Pulling manifests").
    public static let maximumTagLength = 128

    /// Parses and normalises a reference.
    ///
    /// - Parameter transport: how registries are spoken to.
    /// - Throws: ``ImageReferenceError`` that says which part is wrong and what is expected.
    public init(parsing text: String, over transport: RegistryTransport = .https) throws(ImageReferenceError) {
        func fault(_ problem: ImageReferenceError.Problem) -> ImageReferenceError {
            ImageReferenceError(text: text, problem: problem)
        }
        guard !text.isEmpty else { throw fault(.empty) }
        guard text.utf8.count <= Self.maximumLength else { throw fault(.tooLong) }
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw fault(.notPlainText) }

        var name = text[...]
        var digest: Digest?
        if let at = name.utf8.firstIndex(of: UInt8(ascii: "@")) {
            do { digest = try Digest(parsing: name[name.index(after: at)...]) } catch { throw fault(.digest(error)) }
            name = name[..<at]
        }
        // A colon in the last component starts the tag; one before the last slash belongs to the port.
        var tag: String?
        let lastComponent = name.utf8.lastIndex(of: UInt8(ascii: "/")).map { name.index(after: $0) } ?? name.startIndex
        if let colon = name[lastComponent...].utf8.firstIndex(of: UInt8(ascii: ":")) {
            let text = name[name.index(after: colon)...]
            guard ReferenceGrammar.isTag(text) else { throw fault(.tag(String(text))) }
            tag = String(text)
            name = name[..<colon]
        }
        guard !name.isEmpty else { throw fault(.noRepository) }

        let (registry, repository) = try Self.split(name, transport, fault)
        guard !repository.isEmpty else { throw fault(.noRepository) }
        guard repository.utf8.count <= Self.maximumRepositoryLength else { throw fault(.repositoryTooLong) }
        guard ReferenceGrammar.isRepository(repository) else {
            throw fault(
                ReferenceGrammar.isRepository(repository.lowercased())
                    ? .upperCase(String(repository)) : .repository(String(repository)))
        }
        self.init(
            written: registry, repository: repository, tag: tag ?? (digest == nil ? "latest" : nil), digest: digest,
            transport: transport)
    }

    init(written: RegistryName, repository: String, tag: String?, digest: Digest?, transport: RegistryTransport) {
        self.written = written
        self.registry = written.canonical(over: transport).description
        self.repository = repository
        self.tag = tag
        self.digest = digest
        self.transport = transport
    }

    /// References are equal when they name the same thing, however its registry was written.
    public static func == (left: ImageReference, right: ImageReference) -> Bool {
        left.digest == right.digest && left.tag == right.tag && left.repository == right.repository
            && left.registry == right.registry && left.transport == right.transport
    }

    /// Hashes what equality looks at.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(registry)
        hasher.combine(repository)
        hasher.combine(tag)
        hasher.combine(digest)
    }

    /// Docker's rule (`distribution/reference`, `splitDockerDomain`): the first component is a registry when it is
    /// `localhost` or has a dot or a colon.
    private static func split(
        _ name: Substring, _ transport: RegistryTransport,
        _ fault: (ImageReferenceError.Problem) -> ImageReferenceError
    ) throws(ImageReferenceError) -> (registry: RegistryName, repository: String) {
        guard let slash = name.utf8.firstIndex(of: UInt8(ascii: "/")) else {
            // 64 hexadecimal characters are an image's ID on a node, not a name that can be pulled.
            guard !ReferenceGrammar.isImageID(name) else { throw fault(.imageID) }
            return (.dockerHubName, "library/\(name)")
        }
        let first = name[..<slash]
        let rest = name[name.index(after: slash)...]
        let host = first.lowercased()
        guard host == "localhost" || first.utf8.contains(UInt8(ascii: ".")) || first.utf8.contains(UInt8(ascii: ":"))
        else {
            // `Foo/bar` is a registry "Foo" to `distribution/reference`, and a typing error to everyone else: with
            // the host in lower case it would name another image, so it is refused.
            guard host == first else { throw fault(.upperCase(String(name))) }
            return (.dockerHubName, String(name))
        }
        // Node runtimes refuse a dot at the end and leading zeros of the port: only what they can pull is a reference.
        guard let registry = RegistryName(ofReference: host) else { throw fault(.registry(String(first))) }
        return (registry, registry.canonical(over: transport).fullRepository(rest))
    }

    /// The host, with its port if there is one, to talk to.
    public var endpoint: String { registry == RegistryName.dockerHub ? "registry-1.docker.io" : registry }

    /// `registry/repository`: what the `registryScopes` of a trust policy name.
    public var scopeName: String { "\(registry)/\(repository)" }

    /// The normalised text: `registry/repository[:tag][@digest]`.
    public var description: String { text(scopeName) }

    /// ``scopeName`` with the port that was written, for whoever pulls the image.
    package var writtenScopeName: String { written.port == nil ? scopeName : "\(written)/\(repository)" }

    /// ``description`` with the port that was written, for whoever pulls the image.
    package var writtenDescription: String { text(writtenScopeName) }

    private func text(_ scopeName: String) -> String {
        var text = scopeName
        if let tag { text += ":\(tag)" }
        if let digest { text += "@\(digest)" }
        return text
    }

    /// Every spelling of the registry that may lead to where this one does, whatever it is spoken to by: for lists of
    /// what is to be verified, which nobody may get past.
    package var registrySpellings: [String] { written.spellings }

    /// The same reference where registries are spoken to in another way.
    package func over(_ transport: RegistryTransport) -> ImageReference {
        guard transport != self.transport else { return self }
        return ImageReference(
            written: written, repository: written.canonical(over: transport).fullRepository(repository[...]), tag: tag,
            digest: digest, transport: transport)
    }

    /// This reference with a digest, which decides from here on.
    ///
    /// - Parameter keepingTag: whether the tag stays, for messages.
    public func with(digest: Digest, keepingTag: Bool = true) -> ImageReference {
        ImageReference(
            written: written, repository: repository, tag: keepingTag ? tag : nil, digest: digest, transport: transport)
    }

    /// The same repository with a tag and no digest.
    package func with(tag: String) -> ImageReference {
        ImageReference(written: written, repository: repository, tag: tag, digest: nil, transport: transport)
    }

    /// The repository and what is meant in it, without the registry: for messages.
    package var pathDescription: String {
        if let digest { return "\(repository)@\(digest)" }
        if let tag { return "\(repository):\(tag)" }
        return repository
    }
}

/// Why a text is not an ``ImageReference``.
public struct ImageReferenceError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kinds of fault.
    public enum Problem: Hashable, Sendable {
        case empty, tooLong, notPlainText, noRepository, repositoryTooLong, imageID
        case registry(String), repository(String), upperCase(String), tag(String)
        case digest(DigestError)
    }

    /// The text that was refused, its first 200 characters.
    public let text: String
    /// What is wrong.
    public let problem: Problem

    init(text: String, problem: Problem) {
        self.text = String(text.prefix(200))
        self.problem = problem
    }

    /// What is wrong and what is expected, for a person.
    public var description: String {
        let what =
            switch problem {
            case .empty: "it is empty"
            case .tooLong: "it is longer than \(ImageReference.maximumLength) bytes"
            case .notPlainText: "it has white space, control or non-ASCII characters"
            case .noRepository: "it names no repository"
            case .repositoryTooLong: "the repository is longer than \(ImageReference.maximumRepositoryLength) bytes"
            case .imageID: "64 hexadecimal characters are an image ID, not a name: use repository@sha256:…"
            case .registry(let host):
                "\"\(host.quoted)\" is not a registry's host name or address with an optional port"
            case .repository(let name):
                "\"\(name.quoted)\" is not a repository: expected components of a-z and 0-9, joined by '/', with "
                    + "'.', '_', '__' or '-' inside"
            case .upperCase(let name): "the repository \"\(name.quoted)\" must be in lower case"
            case .tag(let tag):
                "\"\(tag.quoted)\" is not a tag: expected 1 to \(ImageReference.maximumTagLength) letters, digits, "
                    + "'_', '.' or '-', not starting with '.' or '-'"
            case .digest(let error): error.description
            }
        return "\"\(text.quoted)\" is not an image reference: \(what)"
    }
}

extension String {
    /// ``Swift/StringProtocol/quoted``.
    var escapedForMessage: String { quoted }
}
