import Foundation
import StrictJSON
import Testing

@testable import YAML

/// What plain scalars mean, as `kubectl` 1.32 was seen to read them.
private let scalars: [(text: String, value: JSONValue)] = [
    ("y", true), ("Yes", true), ("ON", true), ("true", true), ("tRUE", "tRUE"), ("n", false), ("No", false),
    ("off", false), ("~", .null), ("", .null), ("NULL", .null), ("nULL", "nULL"), ("08", 8), ("010", 8), ("0o14", 12),
    ("0o8", "0o8"), ("1_000", 1000), ("1__0", 10), ("0_", 0), ("0x_1", 1), ("0x1F", 31), ("0X1f", 31), ("-0x1f", -31),
    ("+0x1f", 31), ("0b11", 3), ("0B11", 3), ("-0b11", -3), ("-010", -8), ("00", 0), ("0.", 0), ("1.0", 1),
    ("1e3", 1000),
    ("+1", 1), ("-0.0", 0), (".5", .number("0.5")), ("+.5", .number("0.5")), ("5.e3", 5000), ("5.", 5),
    ("1_.5", .number("1.5")), ("1e", "1e"), (".", "."), ("1e400", "1e400"), ("=", "="), ("190:20", "190:20"),
    ("2001-01-01", "2001-01-01"), ("1.2.3", "1.2.3"), ("-", "-"), ("+", "+"), ("0x", "0x"), ("0x-1", "0x-1"),
    ("9223372036854775807", 9_223_372_036_854_775_807), ("1.10", .number("1.1")), ("v1.0", "v1.0"), ("1a", "1a"),
    ("-9223372036854775808", .number("-9223372036854775808")),
    ("18446744073709551615", .number("18446744073709551615")),
]

@Suite struct ScalarTests {
    @Test func plainScalarsMeanWhatTheyMeanToKubernetes() throws {
        for (text, value) in scalars where text != "-" {
            #expect(try YAML.parse(Array("a: \(text)".utf8)) == [.object(["a": value])], "\(text)")
        }
        #expect(try YAML.parse(Array("a: 123456789012345678901234".utf8))[0]["a"]?.double == 1.2345678901234568e23)
    }

    @Test func quotedScalarsAreStrings() throws {
        for (text, _) in scalars {
            #expect(
                try YAML.parse(Array("a: \"\(text)\"\nb: '\(text)'".utf8)) == [
                    ["a": .string(text), "b": .string(text)]
                ])
        }
    }

    /// The same with the `kubectl` of this machine.
    @Test(.enabled(if: Kubectl.url != nil)) func kubectlReadsTheSame() throws {
        var lines = ["apiVersion: example.com/v1", "kind: Example", "metadata: {name: a}", "spec:"]
        // Of integers beyond 2^53, and nulls, kubectl prints less than it reads.
        let shown = scalars.filter { $0.text != "-" && $0.text.utf8.count < 19 && !$0.value.isNull }
        for (index, scalar) in shown.enumerated() { lines.append("  k\(index): \(scalar.text)") }
        let file = FileManager.default.temporaryDirectory.appending(
            path: "countersign-scalars-\(UUID().uuidString).yaml")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(lines.joined(separator: "\n").utf8).write(to: file)
        let process = Process()
        let pipe = Pipe()
        process.executableURL = Kubectl.url
        process.arguments = ["annotate", "--local", "-f", file.path, "x=y", "-o", "json"]
        process.standardOutput = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        let spec = try StrictJSON.parse(output)["spec"]
        for (index, scalar) in shown.enumerated() {
            #expect(spec?["k\(index)"] == scalar.value, "\(scalar.text)")
        }
    }
}

private enum Kubectl {
    static let url: URL? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .map { URL(filePath: String($0)).appending(path: "kubectl") }
        .first { FileManager.default.isExecutableFile(atPath: $0.path) }
}
