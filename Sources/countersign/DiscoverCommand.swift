import ArgumentParser
import OCI
import StrictJSON

/// `countersign discover REF`: what refers to an image, and what refers to that.
struct DiscoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discover", abstract: "Show the tree of what refers to an image: signatures, SBOMs, reports.",
        discussion: """
            Of cosign's signatures and bundles it says what they are said to be; nothing is verified. Those at the tag
            sha256-….sig are shown as well.

            EXAMPLES
              countersign discover registry.example.com/app:v1
              countersign discover registry.example.com/app:v1 --artifact-type application/vnd.cncf.notary.signature
              countersign list registry.example.com/app:v1
            """, aliases: ["list", "ls"])

    @OptionGroup var image: ReferenceArgument
    @OptionGroup var store: StoreOptions

    @Option(help: ArgumentHelp("Show only artifacts of this type directly under the image.", valueName: "type"))
    var artifactType: String?

    @Option(help: ArgumentHelp("Show at most so many artifacts directly under the image.", valueName: "count"))
    var maxSignatures: Int?

    @Option(name: .shortAndLong, help: "text or json.")
    var output = OutputFormat.text

    func validate() throws {
        guard maxSignatures.map({ (1...10_000).contains($0) }) ?? true else {
            throw ValidationError("--max-signatures is \(maxSignatures ?? 0): expected 1 to 10000")
        }
    }

    /// How deep the tree is followed, and how many nodes it has at most: a registry's answers are a stranger's.
    private static let maximumDepth = 4
    private static let maximumNodes = 1000
    /// How many signatures of one manifest of cosign are shown.
    private static let maximumLayers = 100

    struct Node {
        let descriptor: Descriptor
        /// What is in it, where cosign wrote it; nobody has verified it.
        var cosign: CosignArtifact?
        var children: [Node] = []

        var json: JSONValue {
            guard var object = descriptor.json.object else { return descriptor.json }
            if let cosign {
                if let tag = cosign.tag { object["tag"] = .string(tag) }
                if let problem = cosign.problem { object["error"] = .string(problem) }
                object["stated"] = .array(cosign.parts.map { .object($0.summary) })
            }
            object["referrers"] = .array(children.map(\.json))
            return .object(object)
        }
    }

    func run() async throws {
        let reference = try image.parse(for: store)
        let source = try store.open(for: reference, withCosignSignatures: true)
        let deadline = store.deadline()
        let tree = try await asking { () async throws(RegistryError) in
            let descriptor = try await source.resolve(reference, deadline: deadline)
            var count = 0
            return try await node(
                Node(descriptor: descriptor), reference.with(digest: descriptor.digest), source, deadline, depth: 0,
                count: &count)
        }
        switch output {
        case .text:
            print("\(reference.scopeName)@\(tree.descriptor.digest)")
            show(tree.children, indent: "")
        case .json: print(tree.json.prettyText, terminator: "")
        }
    }

    /// A node with what refers to it.
    private func node(
        _ bare: Node, _ reference: ImageReference, _ source: any ReferrerStore,
        _ deadline: ContinuousClock.Instant, depth: Int, count: inout Int
    ) async throws(RegistryError) -> Node {
        count += 1
        guard count <= DiscoverCommand.maximumNodes else {
            throw RegistryError(
                .tooMany, host: source.name, subject: reference.description,
                detail:
                    "the tree has more than \(DiscoverCommand.maximumNodes) artifacts; ask for one with --artifact-type"
            )
        }
        var node = bare
        guard depth < DiscoverCommand.maximumDepth else { return node }
        let children = try await source.referrers(
            of: node.descriptor, in: reference, artifactType: depth == 0 ? artifactType : nil, deadline: deadline)
        let shown = depth == 0 ? maxSignatures ?? children.count : children.count
        if children.count > shown {
            Terminal.complain(
                "\(children.count - shown) of \(children.count) artifacts are not shown (--max-signatures)")
        }
        for descriptor in children.prefix(shown) {
            var child = Node(descriptor: descriptor)
            if CosignArtifact.isPossible(descriptor) {
                child.cosign = try await CosignArtifact.read(
                    descriptor, of: node.descriptor, in: reference, from: source,
                    maximum: DiscoverCommand.maximumLayers, deadline: deadline)
            }
            node.children.append(
                try await self.node(child, reference, source, deadline, depth: depth + 1, count: &count))
        }
        return node
    }

    private func show(_ nodes: [Node], indent: String) {
        for (index, node) in nodes.enumerated() {
            let isLast = index == nodes.count - 1
            let stated = node.descriptor.artifactType ?? ""
            let type = Terminal.plain(stated.isEmpty ? node.descriptor.mediaType : stated)
            print("\(indent)\(isLast ? "└──" : "├──") \(Terminal.paint(type, .bold)) \(node.descriptor.digest)")
            let margin = indent + (isLast ? "    " : "│   ")
            for name in node.descriptor.annotations.keys.sorted() {
                let value = Terminal.plain(node.descriptor.annotations[name] ?? "")
                print(Terminal.paint("\(margin)\(Terminal.plain(name)): \(value)", .faint))
            }
            for line in node.cosign?.lines ?? [] { print(margin + Terminal.plain(line)) }
            show(node.children, indent: margin)
        }
    }
}
