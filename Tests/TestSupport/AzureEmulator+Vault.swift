import Foundation
import PKI
import StrictJSON

/// The key vault, by the REST reference of Azure Key Vault (versions 7.0 and later).
extension AzureEmulator {
    private static let versions: Set<String> = [
        "2016-10-01", "7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01", "2026-04-01",
    ]

    private static func json(_ body: JSONValue) -> EmulatorAnswer {
        EmulatorAnswer(status: 200, headers: [("Content-Type", "application/json; charset=utf-8")], body: body.bytes)
    }

    static func vaultFault(
        _ status: Int, _ code: String, _ message: String, inner: String? = nil,
        headers: [(name: String, value: String)] = []
    ) -> EmulatorAnswer {
        var error: JSONObject = ["code": .string(code), "message": .string(message)]
        if let inner { error["innererror"] = ["code": .string(inner)] }
        return EmulatorAnswer(
            status: status, headers: [("Content-Type", "application/json; charset=utf-8")] + headers,
            body: JSONValue.object(["error": .object(error)]).bytes)
    }

    /// Whether a request is for the vault.
    static func isForVault(_ request: EmulatorRequest) -> Bool {
        request.header("Host")?.contains(".vault.localhost") == true
    }

    func vault(_ request: EmulatorRequest, _ state: inout State) -> EmulatorAnswer {
        let base = "https://\(request.header("Host") ?? "")"
        let own = "https://" + base.split(separator: ".").dropFirst().joined(separator: ".")
        let authorization = request.header("Authorization") ?? ""
        guard authorization.hasPrefix("Bearer "),
            state.accessTokens[String(authorization.dropFirst(7))]?.isGood(for: own) == true
        else {
            let port = base.split(separator: ":").last ?? ""
            let tenant = state.vault.challengeTenant ?? state.settings.tenant
            let challenge =
                "Bearer authorization=\"https://localhost:\(port)/\(tenant)\", resource=\"\(state.vault.challengeResource ?? own)\""
            return Self.vaultFault(
                401, "Unauthorized",
                authorization.isEmpty
                    ? "AKV10000: Request is missing a Bearer or PoP token."
                    : "AKV10022: Invalid audience. Expected \(own).", headers: [("WWW-Authenticate", challenge)])
        }
        guard let version = request.query["api-version"], Self.versions.contains(version) else {
            return Self.vaultFault(400, "BadParameter", "The api-version is missing or not supported.")
        }
        let path = request.path.split(separator: "/").map(String.init)
        guard path.count >= 2 else { return Self.vaultFault(404, "NotFound", "There is no such resource.") }
        let (collection, name) = (path[0], path[1])
        let last = path.count > 2 ? path[2] : ""
        let all = (state.vault.certificates[name] ?? []) + (collection == "keys" ? state.vault.keys[name] ?? [] : [])
        let code =
            collection == "keys" ? "KeyNotFound" : collection == "secrets" ? "SecretNotFound" : "CertificateNotFound"
        guard ["keys", "secrets", "certificates"].contains(collection), !all.isEmpty else {
            return Self.vaultFault(404, code, "A \(collection) with (name/id) \(name) was not found in this key vault.")
        }
        if collection == "secrets", state.vault.forbidden.contains(name) {
            return Self.vaultFault(
                403, "Forbidden", "Caller is not authorized to perform action on resource.", inner: "ForbiddenByRbac")
        }
        if request.method == "GET", last == "versions" {
            return list(collection, name, all, request, base, state.vault)
        }
        guard let found = last.isEmpty ? all.last : all.first(where: { $0.id == last.lowercased() }) else {
            return Self.vaultFault(404, code, "A \(collection) with (name/id) \(name)/\(last) was not found.")
        }
        switch (request.method, collection, path.count) {
        case ("GET", "secrets", ...3):
            guard found.isEnabled else {
                return Self.vaultFault(
                    403, "Forbidden", "Operation get is not allowed on a disabled secret.", inner: "SecretDisabled")
            }
            return Self.json([
                "id": .string("\(base)/secrets/\(name)/\(found.id)"),
                "kid": .string("\(base)/keys/\(name)/\(found.id)"),
                "value": .string(found.secret), "contentType": .string(found.contentType), "managed": true,
                "attributes": .object(Self.attributes(found)),
            ])
        case ("GET", "certificates", ...3): return Self.json(.object(Self.certificate(found, name, base)))
        case ("GET", "keys", ...3):
            return Self.json(["key": Self.jsonWebKey(found, name, base), "attributes": .object(Self.attributes(found))])
        case ("POST", "keys", 4) where path[3] == "sign": return sign(request, found, name, base)
        default: return Self.vaultFault(405, "MethodNotAllowed", "The method is not allowed here.")
        }
    }

    private func list(
        _ collection: String, _ name: String, _ all: [KeyVaultContents.Version], _ request: EmulatorRequest,
        _ base: String, _ vault: KeyVaultContents
    ) -> EmulatorAnswer {
        let start = min(max(0, Int(request.query["$skiptoken"] ?? "") ?? 0), all.count)
        let size = min(vault.pageSize, Int(request.query["maxresults"] ?? "") ?? vault.pageSize)
        let page = all[start...].prefix(size)
        var answer: JSONObject = [
            "value": .array(
                page.map { version in
                    let id: JSONValue = .string("\(base)/\(collection)/\(name)/\(version.id)")
                    var item: JSONObject = [(collection == "keys" ? "kid" : "id"): id]
                    item["attributes"] = .object(Self.attributes(version))
                    if let identity = version.identity { item["x5t"] = .string(Self.thumbprint(identity.certificate)) }
                    return .object(item)
                })
        ]
        answer["nextLink"] =
            start + page.count < all.count
            ? vault.malformedLink
                ?? .string(
                    "\(vault.foreignLinks ?? base)\(request.path)?api-version=\(request.query["api-version"] ?? "")&$skiptoken=\(start + page.count)"
                ) : .null
        return Self.json(.object(answer))
    }

    private static func attributes(_ version: KeyVaultContents.Version) -> JSONObject {
        var attributes: JSONObject = [
            "enabled": .bool(version.isEnabled), "created": .number(String(version.created)),
            "updated": .number(String(version.created)), "recoveryLevel": "Recoverable+Purgeable",
            "recoverableDays": 90,
        ]
        if let certificate = version.identity?.certificate {
            attributes["nbf"] = .number(String(Int64(certificate.notBefore.timeIntervalSince1970)))
            attributes["exp"] = .number(String(Int64(certificate.notAfter.timeIntervalSince1970)))
        }
        return attributes
    }

    private static func certificate(_ version: KeyVaultContents.Version, _ name: String, _ base: String) -> JSONObject {
        guard let certificate = version.identity?.certificate else { return [:] }
        return [
            "id": .string("\(base)/certificates/\(name)/\(version.id)"),
            "kid": .string("\(base)/keys/\(name)/\(version.id)"),
            "sid": .string("\(base)/secrets/\(name)/\(version.id)"), "x5t": .string(thumbprint(certificate)),
            "cer": .string(Data(certificate.der).base64EncodedString()), "attributes": .object(attributes(version)),
            "policy": [
                "id": .string("\(base)/certificates/\(name)/policy"),
                "key_props": ["exportable": .bool(version.isExportable), "reuse_key": false],
                "secret_props": ["contentType": .string(version.contentType)],
                "x509_props": ["subject": .string(certificate.subject.rfc2253)], "issuer": ["name": "Unknown"],
            ],
        ]
    }

    private static func thumbprint(_ certificate: Certificate) -> String {
        encode((try? HashAlgorithm.sha1.digest(of: certificate.der)) ?? [])
    }

    static func encode(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    static func decode(_ text: String) -> [UInt8]? {
        let plain = text.replacing("-", with: "+").replacing("_", with: "/")
        return Data(base64Encoded: plain + String(repeating: "=", count: (4 - plain.count % 4) % 4)).map(Array.init)
    }

    private static func jsonWebKey(_ version: KeyVaultContents.Version, _ name: String, _ base: String) -> JSONValue {
        let key = version.key.publicKey
        var object: JSONObject = [
            "kid": .string("\(base)/keys/\(name)/\(version.id)"), "key_ops": ["sign", "verify"],
        ]
        switch key.kind {
        case .rsa:
            var outer = DERReader(key.keyBytes)
            if var reader = try? outer.sequence(), let modulus = try? reader.integer(),
                let exponent = try? reader.integer()
            {
                object["kty"] = "RSA"
                object["n"] = .string(encode(Array(modulus.drop { $0 == 0 })))
                object["e"] = .string(encode(Array(exponent)))
            }
        case .ec(let curve):
            let length = curve.coordinateLength ?? 0
            object["kty"] = "EC"
            object["crv"] = curve == .p256 ? "P-256" : curve == .p384 ? "P-384" : "P-521"
            object["x"] = .string(encode(Array(key.keyBytes.dropFirst().prefix(length))))
            object["y"] = .string(encode(Array(key.keyBytes.suffix(length))))
        case .other: object["kty"] = "oct"
        }
        return .object(object)
    }

    /// Signs a digest, as a vault does: the key's kind, the algorithm and the length of the digest must go together.
    private func sign(
        _ request: EmulatorRequest, _ version: KeyVaultContents.Version, _ name: String, _ base: String
    ) -> EmulatorAnswer {
        guard version.isEnabled else {
            return Self.vaultFault(
                403, "Forbidden", "Operation sign is not allowed on a disabled key.", inner: "KeyDisabled")
        }
        guard let body = try? StrictJSON.parse(request.body), let algorithm = body["alg"]?.string,
            let digest = body["value"]?.string.flatMap(Self.decode), let bits = Int(algorithm.suffix(3)),
            digest.count * 8 == bits
        else { return Self.vaultFault(400, "BadParameter", "Invalid value for alg or value.") }
        do {
            let directory = try TemporaryDirectory()
            defer { directory.remove() }
            let key = directory.write(try version.key.pkcs8PEM(), to: "key.pem")
            let file = directory.write(digest, to: "digest")
            var arguments = ["pkeyutl", "-sign", "-inkey", key, "-in", file, "-pkeyopt", "digest:sha\(bits)"]
            let signature: [UInt8]
            switch (version.key.publicKey.kind, algorithm.prefix(2)) {
            case (.rsa, "PS"):
                arguments += ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"]
                signature = try OpenSSLCommand.run(arguments)
            case (.rsa, "RS"): signature = try OpenSSLCommand.run(arguments)
            case (.ec(let curve), "ES")
            where (curve.coordinateLength == 66 ? 512 : 8 * (curve.coordinateLength ?? 0)) == bits:
                signature = try ECDSASignature.raw(
                    fromDER: try OpenSSLCommand.run(arguments), coordinateLength: curve.coordinateLength ?? 0)
            default:
                return Self.vaultFault(
                    400, "BadParameter", "Key and signing algorithm are incompatible: \(algorithm).")
            }
            return Self.json([
                "kid": .string("\(base)/keys/\(name)/\(version.id)"), "value": .string(Self.encode(signature)),
            ])
        } catch { return Self.vaultFault(500, "InternalError", "\(error)") }
    }
}
