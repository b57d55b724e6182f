/// How a ``FaultyRegistry`` takes much work: how long each answer takes, how many requests it lets in, and what it saw.
struct RegistryLoad {
    /// How long every answer takes, a refusal too.
    var latency = Duration.zero
    /// How many requests are let in.
    var rate: RequestRate?
    private var underWay: [String: Int] = [:]
    private(set) var mostUnderWay: [String: Int] = [:]

    /// Takes a request in, or gives its refusal.
    mutating func begin(_ request: EmulatorRequest) -> EmulatorAnswer? {
        let key = "\(request.method) \(request.path)"
        underWay[key, default: 0] += 1
        mostUnderWay[key] = max(mostUnderWay[key] ?? 0, underWay[key] ?? 0)
        return rate?.take().map {
            .error(429, "TOOMANYREQUESTS", headers: [("Retry-After", String($0))])
        }
    }

    /// Takes the end of a request.
    mutating func end(_ request: EmulatorRequest) {
        underWay["\(request.method) \(request.path)", default: 0] -= 1
    }
}

extension FaultyRegistry {
    /// Takes so long for every answer.
    package func answer(after latency: Duration) { state.withLock { $0.load.latency = latency } }

    /// Lets so many requests in, and as many again in each such time.
    package func limit(_ budget: Int, per time: Duration) {
        state.withLock { $0.load.rate = RequestRate(budget, per: time) }
    }

    /// How many requests were beyond the limit so far.
    package var refusedByLimit: Int { state.withLock { $0.load.rate?.refused ?? 0 } }

    /// For each request, as `GET /v2/app/manifests/v1`, how often at most it was being answered at one time.
    package var mostUnderWay: [String: Int] { state.withLock { $0.load.mostUnderWay } }
}
