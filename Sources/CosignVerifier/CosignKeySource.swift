import KeyManagement
import Quotation
import Sigstore
import StrictJSON

/// Where keys of a trust policy come from.
package enum CosignKeySource: Hashable, Sendable {
    /// A key management provider: all of its keys, those of a name, or of a name and a version.
    case provider(String, name: String?, version: String?)
    /// A file with one key in PEM.
    case file(String)
}

/// A key in force, and where it came from.
struct CosignKey: Sendable {
    let key: SigningKey
    /// The provider; nil for a file.
    let provider: String?
    let name: String
    let version: String

    /// What reports call it.
    var label: String {
        guard let provider else { return "the key in \(name.quotedPath)" }
        let place = [name, version].filter { !$0.isEmpty }.map(\.quoted).joined(separator: "/")
        return "the key \(place.isEmpty ? "" : "\(place) ")of \"\(provider.quoted)\""
    }

    /// `keyInformation` of a report.
    var json: JSONValue {
        guard let provider else { return ["provider": "file", "name": .string(name), "file": .string(name)] }
        var object: JSONObject = ["provider": .string(provider)]
        if !name.isEmpty { object["name"] = .string(name) }
        if !version.isEmpty { object["version"] = .string(version) }
        return .object(object)
    }
}

/// The keys of a policy at one moment.
struct CosignKeys: Sendable {
    /// Why some keys are not there.
    struct Gap: Hashable, Sendable {
        let sentence: String
        /// Whether it lasts until somebody mends what is configured, or what it names.
        let isConfiguration: Bool
    }

    /// The keys in force.
    private(set) var keys: [CosignKey] = []
    /// What is missing: a signature that no key has made may be by one of those.
    private(set) var gaps: [Gap] = []
    /// What is there and cannot be used, or is named and not there: it counts for nothing.
    private(set) var misfits: [String] = []

    /// The keys that some sources have now.
    ///
    /// - Parameters:
    ///   - files: the provider of the files.
    ///   - areProvidersAwaited: whether a provider that is not there may still come.
    init(
        _ sources: [CosignKeySource], trusted: TrustedCertificates, files: (any CertificateProvider)?,
        areProvidersAwaited: Bool
    ) {
        for source in sources {
            switch source {
            case .file(let path): take(path, of: files)
            case .provider(let provider, let name, let version):
                do throws(KeyManagementError) {
                    take(try trusted.keys(named: provider), of: provider, trusted, name, version)
                } catch {
                    gaps.append(
                        Gap(sentence: error.description, isConfiguration: error.isConfiguration && !areProvidersAwaited)
                    )
                }
            }
        }
    }

    private mutating func take(
        _ offered: [TrustedKey], of provider: String, _ trusted: TrustedCertificates, _ name: String?,
        _ version: String?
    ) {
        let isVault = trusted.provider(named: provider)?.type == "azurekeyvault"
        let chosen = offered.filter { key in
            name.map { $0 == key.name } ?? true && version.map { $0 == key.version } ?? true
        }
        if chosen.isEmpty {
            let wanted = [name, version].compactMap { $0?.quoted }.joined(separator: "/")
            let known = offered.prefix(5).map { "\($0.name)/\($0.version)".quoted }.joined(separator: ", ")
            misfits.append(
                "key management provider \"\(provider.quoted)\" has no key \(wanted) in force; it has \(known)")
        }
        for key in chosen {
            do throws(SigningKeyError) {
                let signing = isVault ? try SigningKey(keyVault: key.key) : try SigningKey(key.key)
                keys.append(CosignKey(key: signing, provider: provider, name: key.name, version: key.version))
            } catch {
                misfits.append("key \"\(key.name.quoted)\" of key management provider \"\(provider.quoted)\": \(error)")
            }
        }
    }

    private mutating func take(_ path: String, of files: (any CertificateProvider)?) {
        guard let key = files?.keys.first(where: { $0.name == path }) else {
            let status = files?.status
            gaps.append(
                Gap(
                    sentence: "key file \(path.quotedPath): \(status?.error ?? "it was not read yet")",
                    isConfiguration: true))
            return
        }
        do throws(SigningKeyError) {
            keys.append(CosignKey(key: try SigningKey(key.key), provider: nil, name: path, version: ""))
        } catch { misfits.append("key file \(path.quotedPath): \(error)") }
    }

    /// The key that signed.
    func key(_ signing: SigningKey) -> CosignKey? { keys.first { $0.key == signing } }
}
