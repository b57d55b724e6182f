import ArgumentParser
import Audit
import ConfigurationModel
import CountersignService
import CustomResources
import FoundationEssentials
import KeyManagement
import Kubernetes
import Logging
import Quotation
import ServiceMetrics
import StrictJSON
import Verification

/// `countersign audit`
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Before you enforce: what would be denied of all that runs in a cluster, or of manifests.",
        discussion: """
            Every image that pods of the cluster use, or that manifests on disk would run, is verified as `serve` would do
            with the configuration that is given, or with that of the cluster's custom resources. Nothing in the cluster is
            changed. Of a cluster it also says whether Gatekeeper's webhook lets through what is not answered in time.

            EXAMPLES
              countersign audit
              countersign audit --config config.json
              countersign audit --config config.json --namespace shop --owner-label team --output html > audit.html
              countersign audit --config config.json --manifests deploy/ --output json

            EXIT STATUS
              0 all would be admitted; 1 some would be denied; 2 wrong usage or configuration; 3 none would be denied, but some
              could not be determined or not looked at, or there is none
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case table, json, html
    }

    @Option(
        name: [.customShort("c"), .long],
        help: ArgumentHelp(
            "The configuration that judges: that of serve. (default: the custom resources of the cluster)",
            valueName: "file"))
    var config: String?

    @Option(
        name: [.customShort("f"), .long], parsing: .upToNextOption,
        help: ArgumentHelp(
            "Look at manifests instead of a cluster: files, or directories with .yaml, .yml and .json files.",
            valueName: "path"))
    var manifests: [String] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Look at this namespace only; repeat for more. (default: all)", valueName: "name"))
    var namespace: [String] = []

    @Option(
        help: ArgumentHelp("Leave this namespace out; repeat for more.", valueName: "name"))
    var excludeNamespace: [String] = []

    @Flag(
        help: "Ask as the multi-tenant template does: each namespace's own configuration judges its images.")
    var byNamespace = false

    @Option(
        help: ArgumentHelp("The label of pods, or of their namespace, that says who owns them.", valueName: "label"))
    var ownerLabel: String?

    @Option(
        help: ArgumentHelp(
            "The kubeconfig. (default: the pod's service account, $KUBECONFIG, then ~/.kube/config)", valueName: "file")
    )
    var kubeconfig: String?

    @Option(help: ArgumentHelp("The context of the kubeconfig.", valueName: "name"))
    var context: String?

    @Option(help: ArgumentHelp("How many images are verified at once.", valueName: "count"))
    var simultaneous = 8

    @Option(help: ArgumentHelp("How long one image may take.", valueName: "seconds"))
    var timeout = 30

    @Option(name: .shortAndLong, help: "table, json, or html: one page that needs nothing else.")
    var output = Format.table

    func validate() throws {
        guard (1...64).contains(simultaneous) else {
            throw ValidationError("--simultaneous is \(simultaneous): expected 1 to 64")
        }
        guard (1...600).contains(timeout) else { throw ValidationError("--timeout is \(timeout): expected 1 to 600") }
        guard manifests.isEmpty || config == nil || (kubeconfig == nil && context == nil) else {
            throw ValidationError(
                "--manifests and --config ask no cluster: --kubeconfig and --context have no meaning with them")
        }
    }

    func run() async throws {
        let metrics = MetricsRegistry()
        let logger = Logger(label: "countersign") { _ in SwiftLogNoOpLogHandler() }
        let builder = ConfigurationBuilder(metrics: metrics, logger: logger, followsStrangers: true)
        let client = try cluster()
        let judge = try await judge(builder, client, metrics, logger)
        var inventory = ImageInventory(isByNamespace: byNamespace)
        let source = try await collect(client, into: &inventory)
        // Nothing denied of nothing is not what was asked for.
        if inventory.images.isEmpty, inventory.gaps.isEmpty {
            inventory.addGap("no image was found in \(source): check that this is where they are")
        }
        // No webhook waits here: each try has its whole time.
        let service = PipelineService(
            source: judge.source, cache: DecisionCache(timeToLive: .seconds(3600)), metrics: metrics,
            waitAfterTimeout: nil)
        let progress = Progress(total: inventory.images.count)
        let images = await Auditor(service: service, simultaneous: simultaneous, timeout: .seconds(timeout))
            .run(inventory.images) { progress.show($0) }
        progress.end()
        await builder.shutdown()
        var warnings: [String] = []
        if manifests.isEmpty, let client { warnings = await GatekeeperWebhooks(client: client).warnings() }
        await client?.shutdown()

        let report = AuditReport(
            source: source, configuration: judge.name, moment: Date(), images: images, gaps: inventory.gaps,
            warnings: warnings, providers: judge.providers())
        switch output {
        case .table: print(AuditTable(report).text, terminator: "")
        case .json: print(report.json.prettyText, terminator: "")
        case .html: print(AuditPage(report).html, terminator: "")
        }
        if !report.images(.denied).isEmpty { throw ExitCode(ExitStatus.notVerified.rawValue) }
        guard report.images(.undetermined).isEmpty, report.gaps.isEmpty else {
            throw ExitCode(ExitStatus.undetermined.rawValue)
        }
    }

    /// What decides about the images.
    private struct Judge {
        let name: String
        let source: any ConfigurationSource
        let providers: () -> [any CertificateProvider]
    }

    private func judge(
        _ builder: ConfigurationBuilder, _ client: KubernetesClient?, _ metrics: MetricsRegistry, _ logger: Logger
    ) async throws -> Judge {
        if let config {
            let built: BuiltConfiguration
            do { built = try builder.build(try readFile(config, "--config"), generation: 1) } catch let error
                as ConfigurationError
            { throw CommandFailure(.usage, "\(config.quotedPath): \(error)") }
            for warning in built.warnings { Terminal.complain("\(config.quotedPath): \(warning)") }
            _ = await built.trusted.refresh(within: .seconds(timeout))
            return Judge(name: config, source: FixedConfiguration(built)) { built.trusted.providers }
        }
        guard let client else { throw CommandFailure(.usage, "give --config, or a cluster with custom resources") }
        let environment = ProcessInfo.processInfo.environment
        let home = environment["RATIFY_NAMESPACE"].flatMap { $0.isEmpty ? nil : $0 } ?? "gatekeeper-system"
        let resources: ResourceConfiguration
        do throws(KubernetesError) {
            resources = try await ResourceConfiguration.read(
                from: client, parts: builder, home: home, metrics: metrics, logger: logger,
                timeout: .seconds(timeout))
        } catch { throw unreadable(error) }
        for complaint in resources.complaints { Terminal.complain(complaint) }
        return Judge(name: "the custom resources of \(client.host)", source: resources) { resources.providers }
    }

    private func unreadable(_ error: KubernetesError) -> CommandFailure {
        CommandFailure(error.isTransient ? .undetermined : .usage, "the cluster cannot be audited: \(error)")
    }

    /// The cluster, where one is asked.
    private func cluster() throws -> KubernetesClient? {
        if config != nil, !manifests.isEmpty { return nil }
        do throws(KubernetesError) {
            let settings =
                if let kubeconfig {
                    try KubernetesConfiguration.kubeconfig(path: kubeconfig, context: context)
                } else { try KubernetesConfiguration.automatic(context: context) }
            return try KubernetesClient(settings)
        } catch { throw unreadable(error) }
    }

    /// Finds the images, and says where.
    private func collect(_ client: KubernetesClient?, into inventory: inout ImageInventory) async throws -> String {
        guard manifests.isEmpty, let client else {
            ManifestImages(
                paths: manifests, namespaces: Set(namespace), excluded: Set(excludeNamespace), ownerLabel: ownerLabel
            ).collect(into: &inventory)
            return "manifests in \(manifests.joined(separator: ", "))"
        }
        do throws(KubernetesError) {
            try await ClusterImages(
                client: client, namespaces: namespace, excluded: Set(excludeNamespace), ownerLabel: ownerLabel
            ).collect(into: &inventory)
        } catch { throw unreadable(error) }
        return "cluster \(client.host)" + (namespace.isEmpty ? "" : ", \(namespace.joined(separator: ", "))")
    }
}

/// How far an audit has come, on standard error: a line that changes on a terminal, one line in twenty seconds
/// elsewhere.
private final class Progress: Sendable {
    private let total: Int
    private let isTerminal = Terminal.isErrorTerminal
    private let started = ContinuousClock.now

    init(total: Int) { self.total = total }

    func show(_ done: Int) {
        guard isTerminal else {
            if done % 100 == 0, done < total { Terminal.complain("\(done) of \(total) images verified") }
            return
        }
        Terminal.write("\r\(done) of \(total) images verified")
    }

    func end() {
        guard isTerminal, total > 0 else { return }
        Terminal.write("\r\u{1B}[K")
    }
}

/// An audit as text.
private struct AuditTable {
    let report: AuditReport

    init(_ report: AuditReport) { self.report = report }

    var text: String {
        var text = ""
        for image in report.images {
            let (word, colour): (String, Terminal.Colour) =
                switch image.verdict {
                case .denied: ("DENY   ", .red)
                case .undetermined: ("UNKNOWN", .yellow)
                case .admitted: ("ADMIT  ", .green)
                }
            text += Terminal.paint(word, colour) + " " + Terminal.plain(image.image.reference) + "\n"
            if let reason = image.reason ?? image.signer.map({ "signed by \($0)" }) {
                text += "        \(Terminal.plain(reason))\n"
            }
            if let remedy = image.remedy { text += "        \(Terminal.plain(remedy))\n" }
            if image.hasMoved { text += "        what runs has another digest than this name has now\n" }
            for use in image.image.uses {
                let owner = use.owner.map { ", owner \($0)" } ?? ""
                text += Terminal.paint("        \(Terminal.plain(use.description + owner))", .faint) + "\n"
            }
        }
        for warning in report.warnings {
            text += Terminal.paint("WARNING", .yellow) + " \(Terminal.plain(warning))\n"
        }
        for gap in report.gaps {
            text += Terminal.paint("NOT LOOKED AT", .yellow) + " \(Terminal.plain(gap))\n"
        }
        if !text.isEmpty { text += "\n" }
        text += "\(report.source): \(report.images.count) images, "
        text += "\(report.images(.denied).count) would be denied (\(report.deniedWorkloads) workloads), "
        text += "\(report.images(.undetermined).count) could not be determined, "
        text += "\(report.images(.admitted).count) would be admitted\n"
        if let next = report.expiries.first {
            let days = next.days(from: report.moment)
            text +=
                days < 0
                ? "A trusted certificate has expired: \(next.subject) (\(next.provider))\n"
                : "Next trusted certificate to expire: \(next.subject) (\(next.provider)), in \(days) days\n"
        }
        return text
    }
}
