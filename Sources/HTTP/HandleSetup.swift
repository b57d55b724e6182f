import CCurl

/// Sets options of a libcurl handle and keeps the first thing that went wrong: an option that did not take effect
/// may be the one that makes the request safe.
struct HandleSetup {
    let handle: UnsafeMutableRawPointer
    var problem: String?

    mutating func check(_ code: CURLcode) {
        guard code != CURLE_OK, problem == nil else { return }
        problem = "libcurl refuses an option: \(String(cString: curl_easy_strerror(code)))"
    }

    mutating func set(_ option: CURLoption, _ value: Int) { check(ccurl_set_long(handle, option, value)) }

    mutating func set(_ option: CURLoption, _ value: String) { check(ccurl_set_string(handle, option, value)) }

    mutating func set(_ option: CURLoption, _ value: [UInt8]) {
        check(value.withUnsafeBufferPointer { ccurl_set_blob(handle, option, $0.baseAddress, $0.count) })
    }

    mutating func set(body: [UInt8]) {
        check(body.withUnsafeBufferPointer { ccurl_set_body(handle, $0.baseAddress, $0.count) })
    }
}

extension Duration {
    /// In milliseconds, rounded down, bounded so that it fits every C type used for times.
    var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        return Int(min(max(seconds, -2_000_000), 2_000_000)) * 1000 + Int(attoseconds / 1_000_000_000_000_000)
    }
}
