import Foundation
import StrictJSON

extension KubernetesEmulator {
    /// Listens, again after ``down()``.
    package func up(port: Int = 0) async throws { try await server.up(port: port) { try await self.answer($0, $1) } }

    /// Stops listening and breaks every connection; the objects stay.
    package func down() async { await server.down() }

    /// Ends the emulator.
    package func stop() async { await down() }

    private func answer(_ request: EmulatorRequest, _ exchange: EmulatorExchange) async throws {
        let fault = state.withLock { state -> Fault? in
            state.requests.append(request)
            guard let index = state.faults.firstIndex(where: { $0.left != 0 && $0.matches(request) }) else {
                return nil
            }
            if let left = state.faults[index].left { state.faults[index].left = left - 1 }
            return state.faults[index].fault
        }
        switch fault {
        case .status(let status, let retryAfter):
            var answer = EmulatorAnswer.status(status, "InternalError", "the emulator was told to say \(status)")
            if let retryAfter { answer.headers.append(("Retry-After", String(retryAfter))) }
            return try await exchange.send(answer)
        case .reset: throw EmulatorExchange.Broken()
        case .garbage(let text): return try await exchange.send(EmulatorAnswer(200, Array(text.utf8)))
        case .delay(let time): try await Task.sleep(for: time)
        case .lostAnswer:
            _ = respond(to: request)
            throw EmulatorExchange.Broken()
        case nil: break
        }
        switch respond(to: request) {
        case .response(let answer): try await exchange.send(answer)
        case .watch(let watch): try await serve(watch, exchange)
        }
    }
}

/// What an API server answers.
extension EmulatorAnswer {
    init(_ status: Int, _ body: [UInt8]) {
        self.init(status: status, headers: [("Content-Type", "application/json")], body: body)
    }

    init(_ status: Int, _ object: JSONObject) { self.init(status, JSONValue.object(object).bytes) }

    /// A `Status` of a failure.
    static func status(_ code: Int, _ reason: String, _ message: String) -> EmulatorAnswer {
        EmulatorAnswer(code, failure(code, reason, message))
    }

    static func failure(_ code: Int, _ reason: String, _ message: String) -> JSONObject {
        [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure", "message": .string(message),
            "reason": .string(reason), "code": .number(String(code)),
        ]
    }
}

enum KubernetesReply: Sendable {
    case response(EmulatorAnswer)
    case watch(EmulatedWatch)
}

extension EmulatorRequest {
    package var isWatch: Bool { ["true", "1"].contains(query["watch"]) }
}
