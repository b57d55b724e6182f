import FoundationEssentials
import Quotation
import StrictJSON
import YAML

/// Finds the images that manifests on disk would run.
package struct ManifestImages: Sendable {
    private let paths: [String]
    private let namespace: String
    private let namespaces: Set<String>
    private let excluded: Set<String>
    private let ownerLabel: String?

    /// The largest file that is read.
    private static let maximumBytes = 4 << 20
    /// How many files are read.
    private static let maximumFiles = 20_000

    /// - Parameters:
    ///   - paths: files, and directories with `.yaml`, `.yml` and `.json` files at any depth.
    ///   - namespace: that of objects which name none.
    ///   - namespaces: the ones to look at; empty for all.
    ///   - excluded: namespaces to leave out.
    ///   - ownerLabel: the label that says who answers for an object.
    package init(
        paths: [String], namespace: String = "default", namespaces: Set<String> = [], excluded: Set<String> = [],
        ownerLabel: String? = nil
    ) {
        self.paths = paths
        self.namespace = namespace
        self.namespaces = namespaces
        self.excluded = excluded
        self.ownerLabel = ownerLabel
    }

    /// Adds the images of all files. What cannot be read is a gap of the inventory.
    package func collect(into inventory: inout ImageInventory) {
        var count = 0
        for path in paths {
            guard let files = files(path) else {
                inventory.addGap("\(path.quotedPath) cannot be read: check that it is there")
                continue
            }
            for file in files {
                count += 1
                guard count <= Self.maximumFiles else {
                    inventory.addGap("there are more than \(Self.maximumFiles) files; the others were not read")
                    return
                }
                collect(file, into: &inventory)
            }
        }
    }

    /// A file itself, or the manifests below a directory, in order.
    private func files(_ path: String) -> [String]? {
        var isDirectory = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else { return nil }
        guard isDirectory else { return [path] }
        guard let names = try? FileManager.default.subpathsOfDirectory(atPath: path) else { return nil }
        return
            names.filter { name in
                [".yaml", ".yml", ".json"].contains { name.hasSuffix($0) }
            }
            .sorted().map { path.hasSuffix("/") ? path + $0 : "\(path)/\($0)" }
            .filter {
                var isDirectory = false
                return FileManager.default.fileExists(atPath: $0, isDirectory: &isDirectory) && !isDirectory
            }
    }

    private func collect(_ file: String, into inventory: inout ImageInventory) {
        guard let content = try? Data(contentsOf: URL(filePath: file)) else {
            inventory.addGap("\(file) cannot be read")
            return
        }
        guard content.count <= Self.maximumBytes else {
            inventory.addGap("\(file) has more than \(Self.maximumBytes) bytes")
            return
        }
        let documents: [JSONValue]
        do { documents = try YAML.parse(Array(content)) } catch {
            inventory.addGap("\(file): \(error)")
            return
        }
        for document in documents where !document.isNull {
            collect(document, file, depth: 0, into: &inventory)
        }
    }

    private func collect(_ document: JSONValue, _ file: String, depth: Int, into inventory: inout ImageInventory) {
        // A list of objects in one document: `kind: List`, `PodList` and so on.
        if let items = document["items"]?.array, document["kind"]?.string?.hasSuffix("List") == true, depth < 4 {
            for item in items { collect(item, file, depth: depth + 1, into: &inventory) }
            return
        }
        guard let object = document.object else { return }
        guard let spec = PodImages.spec(of: object) else {
            if let kind = object["kind"]?.string, PodImages.kinds.contains(kind) {
                inventory.addGap("\(file): a \(kind) has no pod specification")
            }
            return
        }
        let metadata = object["metadata"]
        let place = metadata?["namespace"]?.string ?? namespace
        guard !excluded.contains(place), namespaces.isEmpty || namespaces.contains(place) else { return }
        let kind = object["kind"]?.string ?? "object"
        let name = metadata?["name"]?.string ?? metadata?["generateName"]?.string ?? "(no name)"
        let (images, faults) = PodImages.images(in: spec)
        for found in images {
            inventory.add(
                found.image,
                ImageUse(
                    namespace: place, kind: kind, name: name, container: found.container,
                    owner: ownerLabel.flatMap { metadata?["labels"]?[$0]?.string }, running: nil, file: file))
        }
        for fault in faults { inventory.addGap("\(file): \(kind) \(place)/\(name): \(fault)") }
    }
}
