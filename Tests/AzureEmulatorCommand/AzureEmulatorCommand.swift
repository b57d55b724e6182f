import ArgumentParser
import Foundation
import TestSupport

/// Azure on this machine as a process, for the demonstration and for other programs' tests: Microsoft Entra ID's token
/// endpoint, the metadata service, a container registry and a key vault, over TLS on loopback.
@main
struct AzureEmulatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "azure-emulator",
        abstract: "Azure's token endpoint, container registry and key vault on loopback.",
        discussion: """
            Prints its settings as lines NAME=VALUE, the variables of a pod with a workload identity among them, then "ready". Then it
            reads commands from standard input, one a line, and answers each with a line:

              certificate NAME      a new version of a certificate, under an authority of its own: version and subject
              disable VERSION       disables a version; enable VERSION enables it
              image REPOSITORY TAG  puts an image into the registry: its digest
              vault down            the vault answers 503; vault up: as before
              throttle COUNT        the registry answers 429 after so many requests, for a second
              authorized            how many requests with credentials the foreign registry got
              quit                  ends, as the end of the input does
            """)

    @Option(help: "The port on loopback; 0 for any.")
    var port = 0

    @Option(help: "Where the authority's certificate and the service account token are written; it must exist.")
    var directory: String

    func run() async throws {
        guard FileManager.default.fileExists(atPath: directory) else {
            throw ValidationError("--directory \(directory) does not exist")
        }
        let settings = AzureEmulator.Settings()
        let azure = try await AzureEmulator.start(settings, port: port)
        let foreign = try await AzureEmulator.start(settings)
        let authority = try write(azure.authorityPEM + foreign.authorityPEM, to: "authority.pem")
        let token = try write(settings.assertion, to: "token")
        for (name, value) in [
            ("AZURE_CLIENT_ID", settings.client), ("AZURE_TENANT_ID", settings.tenant),
            ("AZURE_FEDERATED_TOKEN_FILE", token), ("AZURE_AUTHORITY_HOST", azure.url + "/"),
            ("SSL_CERT_FILE", authority), ("EMULATOR_REGISTRY", azure.host), ("EMULATOR_VAULT", azure.vaultURL),
            // What is in the registry, without tokens or TLS: to push to.
            ("EMULATOR_PLAIN_REGISTRY", azure.registry.endpoint),
            // Another registry that wants tokens.
            ("EMULATOR_FOREIGN_REGISTRY", foreign.host),
        ] {
            say("\(name)=\(value)")
        }
        say("ready")
        while let line = readLine() {
            let words = line.split(separator: " ").map(String.init)
            guard words.first != "quit" else { break }
            do { say(try answer(words, azure, foreign)) } catch { say("error: \(error)") }
        }
        await azure.stop()
        await foreign.stop()
    }

    private func answer(_ words: [String], _ azure: AzureEmulator, _ foreign: AzureEmulator) throws -> String {
        switch (words.first, words.count) {
        case ("certificate", 2):
            let authority = try CertificateAuthority(name: "\(words[1]) authority \(UUID().uuidString.prefix(4))")
            let identity = try authority.issue(.codeSigning(words[1]), key: .rsa(bits: 2048))
            return "\(try azure.addCertificate(words[1], identity)) \(authority.certificate.subject)"
        case ("disable", 2), ("enable", 2):
            azure.setEnabled(words[1], words[0] == "enable")
            return "done"
        case ("image", 3):
            return azure.registry.putImage(words[1], tag: words[2], content: "\(words[1]):\(words[2])").digest
                .description
        case ("vault", 2) where words[1] == "down":
            for kind in ["certificates", "secrets", "keys"] { azure.inject(.status(503), path: "/\(kind)/*") }
            return "done"
        case ("vault", 2) where words[1] == "up":
            azure.clearFaults()
            return "done"
        case ("throttle", 2):
            guard let count = Int(words[1]), count >= 0 else { return "error: \(words[1]) is no number" }
            azure.limit(count, pause: .seconds(1))
            return "done"
        case ("authorized", 1):
            return String(foreign.requests.count { $0.header("Authorization") != nil || !$0.body.isEmpty })
        default: return "error: not a command: \(words.joined(separator: " "))"
        }
    }

    private func write(_ text: String, to name: String) throws -> String {
        let file = URL(filePath: directory).appending(path: name)
        try Data(text.utf8).write(to: file, options: .atomic)
        return file.path(percentEncoded: false)
    }

    /// A line at once, for whoever waits for it.
    private func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }
}
