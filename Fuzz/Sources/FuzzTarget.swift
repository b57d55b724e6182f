import CFuzz

/// One parser and what must hold for whatever it is given.
struct FuzzTarget: Sendable {
    /// The name, as in `countersign-fuzz reference` and `Fuzz/seeds/reference`.
    let name: String
    /// The longest input: enough to reach every limit that matters, short enough to be quick.
    let maximumLength: Int
    /// Feeds one input. Ends the process with ``violated(_:)`` when a property does not hold.
    let run: @Sendable ([UInt8]) -> Void

    init(_ name: String, maximumLength: Int = 4096, _ run: @escaping @Sendable ([UInt8]) -> Void) {
        self.name = name
        self.maximumLength = maximumLength
        self.run = run
    }

    /// Every target.
    static let all: [FuzzTarget] =
        jsonTargets + yamlTargets + referenceTargets + manifestTargets + registryTargets + httpTargets + pkiTargets
        + revocationTargets
        + notationTargets + sigstoreTargets + serviceTargets + tufTargets
}

/// Ends the process: the input that libFuzzer then writes to a file is a finding.
func violated(_ message: String) -> Never { countersign_fuzz_violated(message) }

/// A property.
func require(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { violated(message()) }
}

/// An error is read by people and goes into answers: it is there, and it is no carrier of the whole input.
func requireReadable(_ error: any Error, limit: Int = 4096) {
    require(error is any CustomStringConvertible, "an error without words: \(error)")
    let text = "\(error)"
    require(!text.isEmpty, "an error without a text")
    require(text.utf8.count <= limit, "an error of \(text.utf8.count) bytes: \(text.prefix(200))")
}

/// The input as text, when it is UTF-8. Texts that are not are refused before any parser of texts sees them.
func text(_ bytes: [UInt8]) -> String? { String(validating: bytes, as: UTF8.self) }

/// Whether two texts have the same bytes: Swift's `==` takes different normalisations for the same.
func areSame(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }
