import ArgumentParser
import Encoding
import FoundationEssentials
import PKI
import Quotation
import Sigstore
import StrictJSON

/// `countersign verify-bundle FILE_OR_DIGEST`: the client protocol of Sigstore's conformance suite.
struct VerifyBundleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify-bundle", abstract: "Verify a Sigstore bundle over a file, offline.",
        discussion: """
            The bundle has all that is needed; nothing is asked of any network. Without --trusted-root the one of Sigstore's
            public good instance is used, as it was when this version was made.

            EXAMPLES
              countersign verify-bundle --bundle app.sigstore.json --certificate-identity me@example.com \\
                --certificate-oidc-issuer https://github.com/login/oauth app.tar
              countersign verify-bundle --bundle app.sigstore.json --key cosign.pub app.tar
              countersign verify-bundle --bundle app.sigstore.json --key cosign.pub sha256:…

            EXIT STATUS
              0 verified; 1 not verified, or a file that cannot be used; 2 wrong usage
            """)

    @Argument(help: ArgumentHelp("The signed file, or its digest: sha256:…", valueName: "file_or_digest"))
    var artifact: String

    @Option(help: ArgumentHelp("The bundle.", valueName: "file"))
    var bundle: String

    @OptionGroup var signer: IdentityOptions

    @Option(help: ArgumentHelp("A public key in PEM that must have signed, instead of an identity.", valueName: "file"))
    var key: String?

    @Option(help: ArgumentHelp("What is trusted, in Sigstore's format.", valueName: "file"))
    var trustedRoot: String?

    @Option(name: .shortAndLong, help: "text or json.")
    var output = OutputFormat.text

    func validate() throws {
        guard key == nil ? signer.isComplete : !signer.isGiven else {
            throw ValidationError(
                "say who must have signed: --certificate-identity and --certificate-oidc-issuer, or --key alone")
        }
    }

    func run() throws {
        let verifier = BundleVerifier(root: try root())
        let outcome = verifier.verify(
            bundle: try readFile(bundle, "--bundle", status: .notVerified), artifact: try signedArtifact(),
            policy: try policy())
        switch output {
        case .json: print(outcome.json.prettyText, terminator: "")
        case .text: show(outcome)
        }
        if let refusal = outcome.refusal {
            throw CommandFailure(.notVerified, "\(bundle.quotedPath): \(refusal)")
        }
        guard outcome.isVerified else {
            throw CommandFailure(.notVerified, "\(bundle.quotedPath): the verification did not come to its end")
        }
    }

    // MARK: What is given

    private func root() throws -> TrustedRoot {
        do {
            guard let trustedRoot else { return try TrustedRoot.publicGood() }
            return try TrustedRoot(parsing: readFile(trustedRoot, "--trusted-root", status: .notVerified))
        } catch let error as TrustedRootError {
            throw CommandFailure(.notVerified, "\((trustedRoot ?? "the trusted root").quotedPath): \(error)")
        }
    }

    private func signedArtifact() throws -> Artifact {
        if let digest = ArtifactDigest(parsing: artifact) { return .digest(digest) }
        return .content(try readFile(artifact, "the artifact", status: .notVerified))
    }

    private func policy() throws -> BundlePolicy {
        if let key {
            do {
                return BundlePolicy(keys: [
                    try SigningKey(PublicKey(pem: readFile(key, "--key", status: .notVerified)))
                ])
            } catch let error as PKIError {
                throw CommandFailure(.notVerified, "--key \(key.quotedPath): \(error)")
            } catch let error as SigningKeyError {
                throw CommandFailure(.notVerified, "--key \(key.quotedPath): \(error)")
            }
        }
        return BundlePolicy(identities: [try signer.identity()])
    }

    // MARK: What came of it

    private func show(_ outcome: BundleOutcome) {
        for result in outcome.results {
            let (mark, colour): (String, Terminal.Colour) =
                switch result.status {
                case .passed: ("passed", .green)
                case .failed: ("failed", .red)
                case .skipped: ("skipped", .faint)
                case .notRun: ("not run", .faint)
                }
            print("  \(result.step.rawValue.padded(to: 22))\(Terminal.paint(mark, colour))")
        }
        guard outcome.isVerified else { return }
        if let identity = outcome.identity {
            print("  signed by             \(Terminal.plain(identity.name))")
            print("  vouched for by        \(Terminal.plain(identity.issuer ?? ""))")
        }
        if let statement = outcome.statement {
            print("  statement             \(Terminal.plain(statement.predicateType))")
        }
        for time in outcome.provenTimes { print("  existed at            \(UTC.text(time.time))") }
        for entry in outcome.logEntries {
            print("  logged by             \(Terminal.plain(entry.log)), entry \(entry.logIndex)")
        }
    }
}

extension BundleOutcome {
    /// The outcome, member by member.
    fileprivate var json: JSONValue {
        var object: JSONObject = [
            "verified": .bool(isVerified),
            "steps": .array(
                results.map { result in
                    var step: JSONObject = [
                        "step": .string(result.step.rawValue), "status": .string(result.status.rawValue),
                    ]
                    if let message = result.message { step["message"] = .string(message) }
                    return .object(step)
                }),
        ]
        // What is not proven is not told: somebody may build on it.
        guard isVerified else { return .object(object) }
        if let identity {
            object["identity"] = .string(identity.name)
            object["issuer"] = identity.issuer.map(JSONValue.string) ?? .null
            var extensions = JSONObject()
            for (name, value) in identity.extensions.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                extensions[name.rawValue] = .string(value)
            }
            object["extensions"] = .object(extensions)
        }
        if let statement { object["predicateType"] = .string(statement.predicateType) }
        object["provenTimes"] = .array(
            provenTimes.map { time in
                let source: String =
                    switch time.source {
                    case .timestampAuthority(let name): name
                    case .transparencyLog(let url): url
                    }
                return ["time": .string(UTC.text(time.time)), "source": .string(source)]
            })
        object["certificateLogs"] = .array(certificateLogs.map(JSONValue.string))
        object["logEntries"] = .array(
            logEntries.map {
                [
                    "log": .string($0.log), "logIndex": .number(String($0.logIndex)), "kind": .string($0.kind),
                    "hasInclusionProof": .bool($0.hasInclusionProof),
                ]
            })
        return .object(object)
    }
}
