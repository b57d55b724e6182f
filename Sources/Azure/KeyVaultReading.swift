import FoundationEssentials
import KeyManagement
import PKI

/// One version of a certificate or key, as the vault last told of it.
struct KeyVaultFinding: Sendable {
    let version: String
    /// What is trusted of it: the whole chain.
    var certificates: [Certificate] = []
    /// A certificate that is not in force, for the status.
    var shown: Certificate?
    var key: PublicKey?
    var isEnabled = true
    /// Why it is not in force.
    var problem: String?
    /// Whether the vault gives away its private key.
    var hasPrivateKey = false
    var refreshed: Date
}

/// What a look at one certificate or key gave.
struct KeyVaultReading: Sendable {
    var findings: [KeyVaultFinding] = []
    /// What could not be found out.
    var faults: [AzureError] = []
    /// Faults in words, with what stays in force all the same.
    var problems: [String] = []
    /// What the vault said for certain and its owner should know.
    var notes: [String] = []
}

/// Reads one certificate or key of a vault. What the vault says for certain counts (a version is disabled, deleted,
/// replaced); whatever cannot be found out leaves what was.
struct KeyVaultReader: Sendable {
    enum Kind: String, Hashable, Sendable {
        case certificate, key
    }

    let client: KeyVaultClient
    let kind: Kind
    let object: KeyVaultObject
    let now: @Sendable () -> Date

    private var label: String { "\(kind.rawValue) \(object.name)" }

    func read(former: [KeyVaultFinding], deadline: ContinuousClock.Instant) async -> KeyVaultReading {
        var reading = KeyVaultReading()
        guard object.versionHistoryLimit > 0 else {
            await readVersion(object.version, isOnlyOne: true, former, deadline, &reading)
            finish(&reading)
            return reading
        }
        do throws(AzureError) {
            let all: [KeyVaultVersion] =
                switch kind {
                case .certificate: try await client.certificateVersions(object, deadline: deadline)
                case .key: try await client.keyVersions(object, deadline: deadline)
                }
            let chosen = object.chosen(of: all)
            if chosen.isEmpty {
                reading.notes.append(
                    all.isEmpty
                        ? "\(label) has no versions in \(client.host)"
                        : "\(label) has no version \(object.version) in \(client.host)")
            }
            for version in chosen {
                await readVersion(version.version, isOnlyOne: false, former, deadline, &reading)
            }
        } catch { take(error, at: "", isOnlyOne: true, former, &reading) }
        finish(&reading)
        return reading
    }

    private func readVersion(
        _ version: String, isOnlyOne: Bool, _ former: [KeyVaultFinding], _ deadline: ContinuousClock.Instant,
        _ reading: inout KeyVaultReading
    ) async {
        do throws(AzureError) {
            switch kind {
            case .certificate:
                let chain = try await client.chain(object, version: version, deadline: deadline)
                guard chain.isEnabled else { return await disabled(chain.version, deadline, &reading) }
                reading.findings.append(
                    KeyVaultFinding(
                        version: chain.version, certificates: chain.certificates, hasPrivateKey: chain.hasPrivateKey,
                        refreshed: now()))
            case .key:
                let key = try await client.key(object, version: version, deadline: deadline)
                reading.findings.append(
                    KeyVaultFinding(
                        version: key.version, key: key.key, isEnabled: key.isEnabled,
                        problem: key.isEnabled ? nil : "disabled", refreshed: now()))
            }
        } catch {
            if error.kind == .disabled { return await disabled(version, deadline, &reading) }
            take(error, at: version, isOnlyOne: isOnlyOne, former, &reading)
        }
    }

    /// Notes a disabled version, and which one it is when only the name is known.
    private func disabled(
        _ version: String, _ deadline: ContinuousClock.Instant, _ reading: inout KeyVaultReading
    ) async {
        var finding = KeyVaultFinding(version: version, isEnabled: false, problem: "disabled", refreshed: now())
        if kind == .certificate, let found = try? await client.certificate(object, version: version, deadline: deadline)
        {
            finding = KeyVaultFinding(
                version: found.version, shown: found.certificate, isEnabled: false, problem: "disabled",
                refreshed: now())
        }
        reading.findings.append(finding)
    }

    private func take(
        _ error: AzureError, at version: String, isOnlyOne: Bool, _ former: [KeyVaultFinding],
        _ reading: inout KeyVaultReading
    ) {
        guard error.kind != .missing else {
            reading.notes.append(error.description)
            reading.findings.append(
                KeyVaultFinding(version: version, isEnabled: false, problem: "not in the vault", refreshed: now()))
            return
        }
        reading.faults.append(error)
        // Of the latest version the former latest one stays; of a version among others that version. Disabled ones stay
        // so; what could not be read before is told anew.
        let kept = former.filter { ($0.problem == nil || !$0.isEnabled) && (isOnlyOne || $0.version == version) }
        let since = kept.filter { $0.problem == nil }.map(\.refreshed).min()
        let stays = since.map { "; what was fetched at \($0.formatted(.iso8601)) stays in force" } ?? ""
        reading.problems.append(error.description + stays)
        reading.findings += kept
        if kept.isEmpty {
            reading.findings.append(
                KeyVaultFinding(version: version, problem: "cannot be read: \(error.detail)", refreshed: now()))
        }
    }

    /// Finds certificates that are there and make nothing trusted.
    private func finish(_ reading: inout KeyVaultReading) {
        for finding in reading.findings where !finding.certificates.isEmpty && finding.problem == nil {
            if !finding.certificates.contains(where: { $0.isCA || $0.isSelfSigned }) {
                reading.notes.append(
                    "\(label) version \(finding.version) has no certificate authority in its chain and is not self-signed, so nothing can be trusted by it: import it with its whole chain, or trust the authority that issued it with a provider of type inline"
                )
            }
        }
    }
}
