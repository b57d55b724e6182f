import ArgumentParser
import ConfigurationModel
import CosignVerifier
import CountersignService
import Encoding
import FoundationEssentials
import KeyManagement
import Logging
import NotationVerifier
import PKI
import Quotation
import ServiceMetrics
import StrictJSON

/// `countersign certificates`: what is trusted now, from where, and until when.
struct CertificatesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificates",
        abstract:
            "List what is trusted: certificates, cosign's signers, trusted roots; from where, until when, by whom.",
        discussion: """
            Reads the configuration as serve does, and each source once. At the end it says what stops verifying next.

            EXAMPLES
              countersign certificates -c config.json
              countersign certificates -c config.json --output json --warn 60d

            EXIT STATUS
              0 all that is trusted is there and valid; 1 something has expired, is disabled, refused or missing; 2 wrong usage or
              configuration; 3 a source could not be read
            """)

    enum Output: String, ExpressibleByArgument, CaseIterable { case table, json }

    @Option(
        name: [.customShort("c"), .long],
        help: ArgumentHelp(
            "Configuration file. (default: $RATIFY_CONFIG/config.json, then ~/.ratify/config.json)", valueName: "file"))
    var config: String?

    @Option(name: .shortAndLong, help: "table or json.")
    var output = Output.table

    @Option(help: ArgumentHelp("Warn of what expires within this time: 30d, 12h.", valueName: "duration"))
    var warn = "30d"

    @Option(help: ArgumentHelp("How long all sources together may take.", valueName: "seconds"))
    var timeout = 60

    func validate() throws {
        guard (1...3600).contains(timeout) else { throw ValidationError("--timeout is \(timeout): expected 1 to 3600") }
        guard margin != nil else {
            throw ValidationError("--warn is \"\(warn.quoted)\": expected a duration such as 30d or 12h")
        }
    }

    /// Days are what certificates are counted in; Go's durations, which other flags have, end with hours.
    private var margin: Duration? {
        if warn.hasSuffix("d"), let days = Int(warn.dropLast()), (0...36_500).contains(days) {
            return .seconds(days * 86_400)
        }
        return DurationText.parse(warn)
    }

    func run() async throws {
        let path = config ?? ConfigurationFile.defaultPath()
        let builder = ConfigurationBuilder(
            metrics: MetricsRegistry(), logger: Logger(label: "countersign") { _ in SwiftLogNoOpLogHandler() })
        let built: BuiltConfiguration
        do {
            built = try builder.build(try readFile(path, "--config"), generation: 1)
        } catch let error as ConfigurationError { throw CommandFailure(.usage, "\(path.quotedPath): \(error)") }
        for warning in built.warnings { Terminal.complain("\(path.quotedPath): \(warning)") }
        let late = await built.trusted.refresh(within: .seconds(timeout))
        for name in late { Terminal.complain("\(name): did not answer within \(timeout) s") }
        let overview = TrustOverview(
            of: built.snapshot.verifiers, trusting: built.trusted, margin: margin ?? .zero)
        let cosign = CosignOverview(of: built.snapshot.verifiers, trusting: built.trusted, margin: margin ?? .zero)
        await builder.shutdown()
        let verdict = overview.verdict == .good && cosign.isLacking ? .lacking : overview.verdict
        switch output {
        case .json: print(json(overview, cosign, isGood: verdict == .good).prettyText, terminator: "")
        case .table: print(CertificateTable(overview, cosign).text, terminator: "")
        }
        switch verdict {
        case .good: return
        case .lacking: throw ExitCode(ExitStatus.notVerified.rawValue)
        case .unknown: throw ExitCode(ExitStatus.undetermined.rawValue)
        case .misconfigured: throw ExitCode(ExitStatus.usage.rawValue)
        }
    }

    private func json(_ overview: TrustOverview, _ cosign: CosignOverview, isGood: Bool) -> JSONValue {
        var object = overview.json.object ?? [:]
        object["ok"] = .bool(isGood)
        object["warnings"] = .array((overview.warnings + cosign.warnings).map { .string($0) })
        object["cosign"] = cosign.json
        return .object(object)
    }
}

/// The table that a person reads.
private struct CertificateTable {
    private struct Row {
        let cells: [String]
        var colour: Terminal.Colour?
        /// What stands below the row.
        var notes: [String] = []
    }

    private static let header = ["PROVIDER", "TYPE", "CERTIFICATE", "VALID UNTIL", "DAYS", "STATE"]
    private let overview: TrustOverview
    private let cosign: CosignOverview

    init(_ overview: TrustOverview, _ cosign: CosignOverview) {
        self.overview = overview
        self.cosign = cosign
    }

    var text: String {
        let rows = overview.providers.flatMap(rows)
        var widths = Self.header.map(\.count)
        for row in rows {
            for (index, cell) in row.cells.enumerated() { widths[index] = max(widths[index], cell.count) }
        }
        func line(_ cells: [String]) -> String {
            let padded = zip(cells, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            return String(padded.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        }
        var lines = [Terminal.paint(line(Self.header), .bold)]
        let margin = String(repeating: " ", count: widths[0] + widths[1] + 4)
        for row in rows {
            lines.append(row.colour.map { Terminal.paint(line(row.cells), $0) } ?? line(row.cells))
            lines += row.notes.map { Terminal.paint(margin + $0, .faint) }
        }
        if rows.isEmpty {
            lines = cosign.isEmpty ? ["no key management provider is configured: nothing is trusted"] : []
        }
        if !lines.isEmpty { lines.append("") }
        lines += CosignTrustText(cosign).lines
        for warning in overview.warnings + cosign.warnings {
            lines.append(Terminal.paint("warning: ", .yellow) + Terminal.plain(warning))
        }
        lines.append("next: " + Terminal.plain(overview.next ?? "no certificate is trusted that could still expire"))
        return lines.joined(separator: "\n") + "\n"
    }

    private func rows(_ provider: TrustOverview.Provider) -> [Row] {
        func cells(_ what: String, _ until: String, _ days: String, _ state: String) -> [String] {
            [provider.name, provider.type, what, until, days, state].map(Terminal.plain)
        }
        let stores = provider.uses.map { "\($0.store) of \($0.verifier)" }.joined(separator: ", ")
        let use = stores.isEmpty ? "used by no trust policy" : "trusted in \(stores)"
        var rows = provider.status.properties.map { certificate in
            let isExpired = certificate.notAfter.map { $0 < overview.moment } ?? false
            var notes: [String] = []
            if !certificate.place.isEmpty { notes.append(certificate.place) }
            if !certificate.fingerprint.isEmpty { notes.append("sha256 \(certificate.fingerprint)") }
            if certificate.isInForce { notes.append(use) }
            return Row(
                cells: cells(
                    certificate.subject.isEmpty ? "-" : certificate.subject, certificate.notAfter.map(UTC.text) ?? "-",
                    certificate.notAfter.map { String(overview.days(until: $0)) } ?? "-",
                    certificate.state(at: overview.moment)),
                colour: !certificate.isInForce || isExpired ? .red : nil, notes: notes.map(Terminal.plain))
        }
        rows += provider.status.keys.map { key in
            Row(
                cells: cells("public key \(key.kind)", "-", "-", key.state), colour: key.problem == nil ? nil : .red,
                notes: [
                    key.version.isEmpty ? key.name : "\(key.name)/\(key.version)",
                    key.fingerprint.isEmpty ? "" : "sha256 \(key.fingerprint)",
                ].filter { !$0.isEmpty }.map(Terminal.plain))
        }
        if let root = provider.status.trustedRoot {
            let end = root.validUntil
            rows.append(
                Row(
                    cells: cells(
                        "trusted root of Sigstore", end.map(UTC.text) ?? "-",
                        end.map { String(overview.days(until: $0)) } ?? "-", "in force")))
        }
        if rows.isEmpty { rows = [Row(cells: cells("-", "-", "-", "nothing"), colour: .red)] }
        return rows
    }
}
