import Testing

@testable import IPAddresses

@Suite struct AddressTests {
    @Test(arguments: [
        ("8.8.8.8", AddressScope.everyone), ("172.32.0.1", .everyone), ("100.128.0.1", .everyone),
        ("2606:4700::1", .everyone), ("10.0.0.1", .privateNetwork), ("172.31.255.255", .privateNetwork),
        ("192.168.1.1", .privateNetwork), ("100.64.0.1", .privateNetwork), ("fd12::1", .privateNetwork),
        ("127.8.9.1", .loopback), ("0.0.0.0", .loopback), ("::1", .loopback), ("::", .loopback),
        ("::ffff:127.0.0.1", .loopback), ("169.254.169.254", .linkLocal), ("168.63.129.16", .linkLocal),
        ("100.100.100.200", .linkLocal), ("fd00:ec2::254", .linkLocal), ("fe80::1", .linkLocal),
        ("::ffff:169.254.169.254", .linkLocal), ("64:ff9b::a9fe:a9fe", .linkLocal), ("64:ff9b::8.8.8.8", .everyone),
        ("2002:a00:1::", .privateNetwork), ("224.0.0.1", .special), ("255.255.255.255", .special),
        ("ff02::1", .special),
        ("2001:db8::1", .special), ("::7f00:1", .special),
        ("::ffff:0:127.0.0.1", .special), ("::ffff:0:8.8.8.8", .special), ("::fffe:0:8.8.8.8", .everyone),
    ])
    func scopes(text: String, scope: AddressScope) throws {
        let address = try #require(IPAddress(text))
        #expect(AddressScope(of: address) == scope)
    }

    @Test func blocks() throws {
        let block = try #require(AddressBlock("10.20.0.0/16"))
        let addresses = ["10.20.255.1", "10.21.0.1", "10.1.2.3"].compactMap { IPAddress($0) }
        #expect(addresses.map { block.contains($0) } == [true, false, false])
        #expect(AddressBlock("::ffff:10.0.0.0/104")?.contains(addresses[2]) == true)
        #expect(AddressBlock("10.0.0.1")?.description == "10.0.0.1/32")
        for text in ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "ten/8", "10.0.0/8", "fd00::/129"] {
            #expect(AddressBlock(text) == nil, "\(text)")
        }
    }
}
