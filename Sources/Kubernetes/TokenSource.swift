import FoundationEssentials
import Quotation

/// The token of who asks, as it is now.
actor TokenSource {
    private let credentials: KubernetesConfiguration.Credentials
    /// How old what was read may be.
    private let life: Duration
    private var token: String?
    private var readAt: ContinuousClock.Instant?
    private var expires: Date?
    private var running: Task<Result<ExecPlugin.Token, KubernetesError>, Never>?

    init(_ credentials: KubernetesConfiguration.Credentials, life: Duration = .seconds(60)) {
        self.credentials = credentials
        self.life = life
    }

    /// The token to send; `nil` when none is to be sent.
    func current(deadline: ContinuousClock.Instant) async throws(KubernetesError) -> String? {
        switch credentials {
        case .none: return nil
        case .token(let token): return token
        case .tokenFile(let path):
            if let token, let readAt, ContinuousClock.now - readAt < life { return token }
            do throws(KubernetesError) {
                token = try TokenSource.read(path)
                readAt = .now
            } catch {
                // While kubelet replaces it, the one read before is as good as it was.
                guard token != nil else { throw error }
            }
            return token
        case .exec(let plugin):
            if let token, expires.map({ $0.timeIntervalSinceNow > 30 }) ?? true { return token }
            let task = running ?? Task { await Result(catching: plugin, deadline) }
            running = task
            let result = await task.value
            running = nil
            let fresh = try result.get()
            token = fresh.text
            expires = fresh.expires
            return fresh.text
        }
    }

    /// The API server has refused this token. Returns whether there may be another one.
    func refused(_ former: String?) -> Bool {
        switch credentials {
        case .none, .token: return false
        case .tokenFile(let path):
            guard let fresh = try? TokenSource.read(path), fresh != former else { return token != former }
            token = fresh
            readAt = .now
            return true
        case .exec:
            if token == former {
                token = nil
                expires = nil
            }
            return true
        }
    }

    private static func read(_ path: String) throws(KubernetesError) -> String {
        guard let data = try? Data(contentsOf: URL(filePath: path)) else {
            throw .configuration("the token file \(path.quotedPath) cannot be read")
        }
        let text = String(decoding: data, as: UTF8.self).filter { !$0.isWhitespace }
        guard !text.isEmpty, text.utf8.count <= 65_536, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw .configuration("the token file \(path) holds no token")
        }
        return text
    }
}

extension Result where Success == ExecPlugin.Token, Failure == KubernetesError {
    fileprivate init(catching plugin: ExecPlugin, _ deadline: ContinuousClock.Instant) async {
        do throws(KubernetesError) { self = .success(try await plugin.token(deadline: deadline)) } catch {
            self = .failure(error)
        }
    }
}
