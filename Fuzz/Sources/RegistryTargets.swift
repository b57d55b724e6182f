import HTTP

@testable import OCIRegistry

let registryTargets = [
    FuzzTarget("challenge", maximumLength: 4096) { bytes in
        // Header fields come as Latin-1 or UTF-8; a line feed parts one field from the next.
        guard let text = text(bytes) else { return }
        let fields = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let challenges = AuthenticationChallenge.parse(fields)
        require(challenges.count <= bytes.count, "more challenges than bytes")
        for challenge in challenges {
            require(!challenge.scheme.isEmpty, "a scheme without a name")
            require(areSame(challenge.scheme, challenge.scheme.lowercased()), "a scheme that is not in lower case")
            let size = challenge.parameters.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
            require(size <= bytes.count, "parameters longer than their field")
            for name in challenge.parameters.keys {
                require(
                    !name.isEmpty && areSame(name, name.lowercased()), "a parameter's name that is not in lower case")
            }
            // Written plainly, it is read as the same challenge: what was accepted had one meaning.
            guard !challenge.parameters.isEmpty else { continue }
            let written = challenge.parameters.sorted { $0.key < $1.key }.map { name, value in
                "\(name)=\"" + value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
            }
            let field = "\(challenge.scheme) " + written.joined(separator: ", ")
            if field.utf8.count <= 16_384 {
                require(AuthenticationChallenge.parse([field]) == [challenge], "\(field) is read as another challenge")
            }
        }
    },
    FuzzTarget("link", maximumLength: 4096) { bytes in
        guard let text = text(bytes) else { return }
        let fields = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard let target = (try? LinkHeader.next(fields)) ?? nil else { return }
        require(!target.contains(">"), "a target with its delimiter")
        require(fields.contains { $0.utf8.count > target.utf8.count }, "a target longer than its field")
        guard let base = try? HTTPURL(parsing: "https://registry.example:5000/v2/app/referrers/x") else { return }
        // What leads elsewhere is refused by origin: that must hold however the target is written.
        guard let page = try? base.resolving(target), page.hasSameOrigin(as: base) else { return }
        require(page.text.hasPrefix("https://registry.example:5000/"), "\(page.text) passes for the registry")
    },
    FuzzTarget("docker-config", maximumLength: 8192) { bytes in
        let config: DockerConfig
        do { config = try DockerConfig(parsing: bytes) } catch {
            requireReadable(error, limit: 32_768)
            return
        }
        for helper in config.helpers.map(\.content) + [config.store].compactMap(\.self) {
            guard let helper = try? helper.get() else { continue }
            require(!helper.isEmpty && !helper.contains { "/\\ \0".contains($0) }, "a helper that is a path")
        }
        for endpoint in ["registry.example:5000", "registry-1.docker.io", "a.b.azurecr.io"] {
            for repository in ["library/nginx", "team/app/image"] {
                guard let credential = (try? config.credential(for: endpoint, repository: repository)) ?? nil else {
                    continue
                }
                require(config.entries.contains { $0.content == .success(credential) }, "a credential from nowhere")
                // A credential goes to a host that its key names.
                let isMeant = config.entries.contains { entry in
                    entry.content == .success(credential)
                        && (entry.key.host.contains("*") || endpoint == entry.key.host
                            || entry.key.host == "docker.io")
                }
                require(isMeant, "a credential for another host")
                if case .basic(_, let password) = credential, password.utf8.count > 8 {
                    require(!"\(credential)".contains(password), "a credential that prints itself")
                }
            }
        }
    },
]
