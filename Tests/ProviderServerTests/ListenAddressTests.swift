import Testing

@testable import ProviderServer

@Suite struct ListenAddressTests {
    @Test(arguments: [
        (":6001", nil as String?, 6001), ("127.0.0.1:0", "127.0.0.1", 0), ("localhost:65535", "localhost", 65535),
        ("[::1]:80", "::1", 80),
    ])
    func reads(text: String, host: String?, port: Int) throws {
        let address = try ListenAddress(parsing: text)
        #expect(address == ListenAddress(host: host, port: port))
        #expect(address.description == text)
    }

    @Test(arguments: [
        "", "6001", ":", ":x", ":65536", ":-1", "::1:80", "[::1]", "[x]:1", "a b:1", "http://x:1", ":6001 ",
    ])
    func refuses(text: String) {
        #expect(throws: ListenAddressError.self) { try ListenAddress(parsing: text) }
    }
}
