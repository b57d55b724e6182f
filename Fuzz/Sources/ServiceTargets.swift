import ConfigurationModel
import StrictJSON
import Verification

@testable import Gatekeeper

let serviceTargets = [
    FuzzTarget("provider-request", maximumLength: 8192) { bytes in
        let limit = 20
        do {
            let request = try ProviderRequest(body: bytes, maximumKeys: limit)
            require(request.keys.count <= limit, "more keys than the limit")
            require(Set(request.keys.map(ExactText.init)).count == request.keys.count, "a key twice")
            // The answer names exactly these keys, in this order, whatever is in them.
            var writer = ProviderResponseWriter(version: request.version, isIdempotent: false)
            for (index, key) in request.keys.enumerated() {
                if index.isMultiple(of: 2) {
                    writer.item(key: key, error: key)
                } else {
                    writer.item(key: key, value: key)
                }
            }
            let answer = try StrictJSON.parse(writer.finish(systemError: request.keys.last))
            let items = answer["response"]?["items"]?.array ?? []
            require(items.count == request.keys.count, "another number of answers")
            for (item, key) in zip(items, request.keys) {
                require(areSame(item["key"]?.string ?? "", key), "the answer to another key")
                let error = item["error"]?.string
                require((error == nil) != (item["value"] == nil), "an answer that is both or neither")
                require(error?.isEmpty != true, "an error that Gatekeeper takes for none")
            }
        } catch let error as ProviderRequestError { requireReadable(error) } catch {
            violated("the answer is not JSON: \(error)")
        }
    },
    FuzzTarget("configuration", maximumLength: 8192) { bytes in
        do {
            let configuration = try ServiceConfiguration(parsing: bytes)
            require(!configuration.stores.isEmpty && !configuration.verifiers.isEmpty, "nothing to verify with")
            require(configuration.settings.verificationTimeout > .zero, "no time to verify in")
            require(["text", "json"].contains(configuration.logger.formatter), "an unknown log format")
        } catch { requireReadable(error) }
    },
]
