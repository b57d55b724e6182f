import ArgumentParser
import OCI
import StrictJSON

/// `countersign resolve REF`
struct ResolveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resolve", abstract: "Show the digest form of a reference.",
        discussion: """
            EXAMPLES
              countersign resolve registry.example.com/app:v1
              countersign resolve registry.example.com/app:v1 --oci-layout ./layout --output json
            """)

    @OptionGroup var image: ReferenceArgument
    @OptionGroup var store: StoreOptions

    @Option(name: .shortAndLong, help: "text or json.")
    var output = OutputFormat.text

    func run() async throws {
        let reference = try image.parse(for: store)
        let source = try store.open(for: reference)
        let descriptor = try await asking { () async throws(RegistryError) in
            try await source.resolve(reference, deadline: store.deadline())
        }
        let pinned = "\(reference.writtenScopeName)@\(descriptor.digest)"
        switch output {
        case .text: print(pinned)
        case .json:
            let object: JSONObject = [
                "reference": .string(reference.description), "resolved": .string(pinned),
                "mediaType": .string(descriptor.mediaType), "digest": .string(descriptor.digest.description),
                "size": .number(String(descriptor.size)),
            ]
            print(JSONValue.object(object).prettyText, terminator: "")
        }
    }
}
