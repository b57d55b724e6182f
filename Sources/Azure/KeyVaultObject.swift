import Quotation
import StrictJSON

/// A certificate or a key of a vault, as Ratify's parameters name it.
package struct KeyVaultObject: Hashable, Sendable {
    /// Its name.
    package let name: String
    /// The version; empty for the latest.
    package let version: String
    /// How many versions are taken. 0, which is the usual, takes one version without listing them, so that no
    /// permission to list is needed. More takes the newest ones, or those before ``version`` besides it.
    package let versionHistoryLimit: Int

    /// How many versions of one object may be asked for.
    package static let maximumHistory = 50

    /// An object of a vault.
    ///
    /// - Throws: when name or version are none that a vault has: they become part of a URL.
    package init(name: String, version: String = "", versionHistoryLimit: Int = 0) throws(AzureError) {
        guard Self.isName(name) else {
            throw AzureError(
                .configuration,
                detail:
                    "the name \"\(name.quoted)\" is not one of a key vault: 1 to 127 letters, digits and hyphens"
            )
        }
        guard version.isEmpty || Self.isVersion(version) else {
            throw AzureError(
                .configuration, detail: "the version of \(name) is not one of a key vault: letters and digits")
        }
        guard (0...Self.maximumHistory).contains(versionHistoryLimit) else {
            throw AzureError(
                .configuration,
                detail: "the versionHistoryLimit of \(name) is \(versionHistoryLimit): from 0 to \(Self.maximumHistory)"
            )
        }
        self.name = name
        self.version = version
        self.versionHistoryLimit = versionHistoryLimit
    }

    private static func isName(_ text: String) -> Bool {
        (1...127).contains(text.utf8.count)
            && text.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }

    static func isVersion(_ text: some StringProtocol) -> Bool {
        (1...64).contains(text.utf8.count) && text.utf8.allSatisfy(isAlphanumeric)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default: false
        }
    }

    /// The part of a path that says which version.
    func path(_ version: String) -> String { version.isEmpty ? name : "\(name)/\(version)" }

    /// The versions that are wanted of those that there are, newest first.
    ///
    /// As in Ratify: without a version the newest so many, by the time of their creation and whether enabled or not;
    /// with one that version and so many before it.
    func chosen(of versions: [KeyVaultVersion]) -> [KeyVaultVersion] {
        let newestFirst = versions.enumerated().sorted { left, right in
            left.element.created == right.element.created
                ? left.offset > right.offset : left.element.created > right.element.created
        }.map(\.element)
        guard !version.isEmpty else { return Array(newestFirst.prefix(versionHistoryLimit)) }
        guard let index = newestFirst.firstIndex(where: { $0.version.utf8.elementsEqual(version.utf8) }) else {
            return []
        }
        return Array(newestFirst[index...].prefix(versionHistoryLimit + 1))
    }
}

/// One version in a list.
struct KeyVaultVersion: Hashable, Sendable {
    let version: String
    let isEnabled: Bool
    /// When it was made, in seconds since 1970.
    let created: Int64

    /// Reads an element of a list of versions; `nil` when something is missing that every one has.
    init?(_ value: JSONValue, idName: String = "id") {
        guard let id = value[idName]?.string, let version = KeyVaultVersion.version(ofID: id),
            let attributes = value["attributes"], let isEnabled = attributes["enabled"]?.bool,
            let created = attributes["created"]?.integer
        else { return nil }
        self.version = version
        self.isEnabled = isEnabled
        self.created = created
    }

    init(version: String, isEnabled: Bool, created: Int64) {
        self.version = version
        self.isEnabled = isEnabled
        self.created = created
    }

    /// The version at the end of `https://vault/secrets/name/version`.
    static func version(ofID id: String) -> String? {
        let parts = id.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 6, KeyVaultObject.isVersion(parts[5]) else { return nil }
        return String(parts[5])
    }
}
