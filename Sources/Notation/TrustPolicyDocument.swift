import OCI
import Quotation
import StrictJSON

/// A trust policy for OCI artifacts (trust store and trust policy specification, "OCI Trust Policy", version 1.0):
/// every rule of the specification has been checked.
public struct TrustPolicyDocument: Sendable {
    /// The statements, in their order.
    public let statements: [TrustPolicyStatement]

    /// Where the statement of each scope is, by the scope's place: a policy may have hundreds, and one is chosen for
    /// every verification.
    private let positions: [String: (position: Int, scope: RegistryScope)]
    /// Where the statement of all other repositories is.
    private let globalPosition: Int?

    /// Reads and validates a document.
    ///
    /// Unknown members are ignored and names of members match without regard to case, as in the reference
    /// implementation; a member that occurs twice in this sense, and anything after the document, is a fault.
    public init(json bytes: [UInt8]) throws(TrustPolicyError) {
        let value: JSONValue
        do { value = try StrictJSON.parse(bytes) } catch {
            throw TrustPolicyError("the trust policy is not valid JSON: \(error.description(showing: bytes))")
        }
        try self.init(json: value)
    }

    /// Reads and validates a document that is a part of another one.
    public init(json value: JSONValue) throws(TrustPolicyError) {
        let document = try PolicyObject(value, "the trust policy")
        guard let version = try document.string("version"), !version.isEmpty else {
            throw TrustPolicyError("the trust policy has no \"version\"; expected \"1.0\"")
        }
        guard version == "1.0" else {
            throw TrustPolicyError("the trust policy has version \"\(version.quoted)\"; only \"1.0\" is supported")
        }
        let entries = try document.array("trustPolicies")
        guard !entries.isEmpty else {
            throw TrustPolicyError("the trust policy has no statements in \"trustPolicies\"")
        }
        var statements: [TrustPolicyStatement] = []
        for entry in entries { statements.append(try TrustPolicyStatement(json: entry)) }
        try self.init(statements: statements)
    }

    /// A document of statements, validated as a whole: each name and each scope once.
    public init(statements: [TrustPolicyStatement]) throws(TrustPolicyError) {
        var names: Set<[UInt8]> = []
        var positions: [String: (position: Int, scope: RegistryScope)] = [:]
        var texts: [String: String] = [:]
        for (position, statement) in statements.enumerated() {
            guard names.insert(Array(statement.name.utf8)).inserted else {
                throw TrustPolicyError("two statements of the trust policy have the name \"\(statement.name.quoted)\"")
            }
            for text in statement.registryScopes {
                let scope = statement.isGlobal ? nil : try RegistryScope(parsing: text)
                // "For a given OCI artifact there MUST be only one applicable trust policy"
                guard let former = texts.updateValue(text, forKey: scope?.place ?? text) else {
                    if let scope { positions[scope.place] = (position, scope) }
                    continue
                }
                guard former != text else {
                    throw TrustPolicyError("the registry scope \"\(text.quoted)\" is in the trust policy twice")
                }
                throw TrustPolicyError(
                    "the registry scopes \"\(former.quoted)\" and \"\(text.quoted)\" are one repository in two spellings (443 is the port of https, 80 that of plain HTTP); keep one of them"
                )
            }
        }
        self.statements = statements
        self.positions = positions
        globalPosition = statements.firstIndex(where: \.isGlobal)
    }

    /// The statement for an image: the one whose scope is its repository, else the global one ("Selecting a trust
    /// policy to verify a signed OCI artifact").
    ///
    /// - Throws: ``TrustPolicyError`` when there is none: the artifact is untrusted then.
    public func statement(for reference: ImageReference) throws(TrustPolicyError) -> TrustPolicyStatement {
        // The specification's grammar of scopes has no IPv6 addresses. An image at one has no statement, not even "*".
        if reference.written.isIPv6 { _ = try RegistryScope(parsing: reference.scopeName) }
        return try statement(for: RegistryScope(of: reference), over: reference.transport)
    }

    /// The statement for a repository, `registry/repository`, over https. The registry may have any of its spellings;
    /// `nginx` alone is not a repository here.
    public func statement(forScope scope: String) throws(TrustPolicyError) -> TrustPolicyStatement {
        try statement(for: RegistryScope(parsing: scope), over: .https)
    }

    private func statement(
        for scope: RegistryScope, over transport: RegistryTransport
    ) throws(TrustPolicyError) -> TrustPolicyStatement {
        let own = positions[scope.place].flatMap { known in
            known.scope.registry.mayHavePort(of: scope.registry, over: transport) ? known.position : nil
        }
        guard let position = own ?? globalPosition else {
            throw TrustPolicyError(
                "no statement of the trust policy applies to \"\(scope.description.quoted)\"; add the repository, or \"*\", to the "
                    + "registryScopes of one")
        }
        return statements[position]
    }

    /// The statement for an artifact reference as the reference implementation takes it: `registry/repository@digest`.
    public func statement(forArtifact reference: String) throws(TrustPolicyError) -> TrustPolicyStatement {
        guard let at = reference.utf8.lastIndex(of: UInt8(ascii: "@")) else {
            throw TrustPolicyError(
                "\"\(reference.quoted)\" is not registry/repository@digest, which selecting a trust policy needs")
        }
        return try statement(forScope: String(reference[..<at]))
    }
}
