import FoundationEssentials

@testable import HTTP

let httpTargets = [
    FuzzTarget("url", maximumLength: 2048) { bytes in
        // A base, a line feed, a reference.
        let parts = bytes.split(separator: 0x0A, maxSplits: 1, omittingEmptySubsequences: false)
        guard let text = text(Array(parts[0])) else { return }
        let url: HTTPURL
        do { url = try HTTPURL(parsing: text) } catch {
            requireReadable(error)
            return
        }
        requireSafe(url)
        guard parts.count > 1, let reference = FuzzText.of(parts[1]) else { return }
        do { requireSafe(try url.resolving(reference)) } catch { requireReadable(error) }
    },
    FuzzTarget("retry-after", maximumLength: 128) { bytes in
        guard let value = text(bytes) else { return }
        guard let wait = RetryAfter.parse(value, now: Date(timeIntervalSince1970: 1_800_000_000)) else { return }
        require(wait >= .zero, "a wait that is over before it begins")
        require(wait < .seconds(1_000_000_000_000), "a wait without end")
    },
    FuzzTarget("proxy", maximumLength: 1024) { bytes in
        // The proxy, a line feed, NO_PROXY.
        let parts = bytes.split(separator: 0x0A, maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = FuzzText.of(parts[0]) else { return }
        var environment = ["HTTPS_PROXY": address]
        if parts.count > 1, let exceptions = FuzzText.of(parts[1]) { environment["NO_PROXY"] = exceptions }
        do {
            let settings = try ProxySettings(environment: environment)
            for text in ["https://registry.example:5000/v2/", "https://10.0.0.1/", "https://[fd00::1]/"] {
                guard let proxy = settings.proxy(for: try HTTPURL(parsing: text)) else { continue }
                require(!proxy.url.contains("@"), "a proxy's address with its credentials")
                require(proxy.url.hasSuffix(proxy.authority), "a proxy with two addresses")
            }
        } catch { requireReadable(error) }
    },
]

/// Bytes of a slice as text.
private enum FuzzText {
    static func of(_ bytes: ArraySlice<UInt8>) -> String? { text(Array(bytes)) }
}

private func requireSafe(_ url: HTTPURL) {
    do {
        let again = try HTTPURL(parsing: url.text)
        require(again == url, "\(url.text) is read as another URL")
        require(again.hasSameOrigin(as: url), "\(url.text) has another origin")
    } catch { violated("\(url.text) is refused when it is read again: \(error)") }
    require(url.target.hasPrefix("/"), "a target that does not begin with a slash")
    require(url.text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "bytes that do not belong on a request line")
    require((1...65_535).contains(url.port), "port \(url.port)")
    require(!url.host.isEmpty && !url.host.contains { "/@?#[]\\".contains($0) }, "host \(url.host)")
}
