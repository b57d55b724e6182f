import Testing

@testable import OCI

@Suite struct RegistryNameTests {
    @Test(arguments: [
        // text, over https, in plain HTTP, where both are possible
        ("reg.example", "reg.example", "reg.example", "reg.example"),
        ("REG.Example", "reg.example", "reg.example", "reg.example"),
        ("reg.example.", "reg.example", "reg.example", "reg.example"),
        ("reg.example:443", "reg.example", "reg.example:443", "reg.example:443"),
        ("reg.example.:0443", "reg.example", "reg.example:443", "reg.example:443"),
        ("reg.example:80", "reg.example:80", "reg.example", "reg.example:80"),
        ("reg.example:5000", "reg.example:5000", "reg.example:5000", "reg.example:5000"),
        ("index.docker.io", "docker.io", "docker.io", "docker.io"),
        ("Registry-1.Docker.io:443", "docker.io", "registry-1.docker.io:443", "registry-1.docker.io:443"),
        ("docker.io:443", "docker.io", "docker.io:443", "docker.io:443"),
        ("docker.io:80", "docker.io:80", "docker.io", "docker.io:80"),
        ("index.docker.io:5000", "index.docker.io:5000", "index.docker.io:5000", "index.docker.io:5000"),
        ("[::1]", "[::1]", "[::1]", "[::1]"), ("[0:0:0:0:0:0:0:1]:443", "[::1]", "[::1]:443", "[::1]:443"),
        ("[FD00:0:0:1::]:80", "[fd00:0:0:1::]:80", "[fd00:0:0:1::]", "[fd00:0:0:1::]:80"),
        ("[1:0:0:2:0:0:0:3]", "[1:0:0:2::3]", "[1:0:0:2::3]", "[1:0:0:2::3]"),
        ("[1:0:2:3:4:5:6:7]", "[1:0:2:3:4:5:6:7]", "[1:0:2:3:4:5:6:7]", "[1:0:2:3:4:5:6:7]"),
        ("[::]", "[::]", "[::]", "[::]"), ("[1:0:0:0:0:0:0:0]", "[1::]", "[1::]", "[1::]"),
        ("[::ffff:10.0.0.1]:443", "10.0.0.1", "10.0.0.1:443", "10.0.0.1:443"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"),
    ])
    func oneSpelling(_ text: String, _ https: String, _ http: String, _ either: String) throws {
        let name = try #require(RegistryName(parsing: text))
        for (transport, canonical) in [(RegistryTransport.https, https), (.http, http), (.either, either)] {
            #expect(name.canonical(over: transport).description == canonical)
            // Once more changes nothing.
            #expect(RegistryName(parsing: canonical)?.canonical(over: transport).description == canonical)
        }
    }

    @Test(arguments: [
        "", ".", ":443", "reg.example:", "reg.example:0", "reg.example:65536", "reg.example:4430000", "reg.example:x",
        "reg.example:443:443", "reg..example", "reg.example..", "-a.example", "https://reg.example", "reg.example/app",
        "[::1", "[::1]x", "[::1]:", "[1.2.3.4]", "[fe80::1%25eth0]", "ré.example",
        // What resolvers take for an address, and is not written as one.
        "10.1", "10.0.0.01", "0x7f.0.0.1", "0x7f000001:5000", "127.1:443", "2130706433:5000", "1.2.3.4.5", "reg.1",
        "10.0.0.256",
    ])
    func noName(_ text: String) { #expect(RegistryName(parsing: text) == nil) }

    @Test func whichMayBeOneRegistry() throws {
        func same(_ left: String, _ right: String) throws -> [Bool] {
            let (left, right) = (try #require(RegistryName(parsing: left)), try #require(RegistryName(parsing: right)))
            return [RegistryTransport.https, .http, .either].map { transport in
                #expect(left.mayBeSame(as: right, over: transport) == right.mayBeSame(as: left, over: transport))
                return left.mayBeSame(as: right, over: transport)
            }
        }
        #expect(try same("r.example", "R.example") == [true, true, true])
        #expect(try same("r.example", "r.example:443") == [true, false, true])
        #expect(try same("r.example", "r.example:80") == [false, true, true])
        #expect(try same("r.example:80", "r.example:443") == [false, false, false])
        #expect(try same("r.example", "r.example:5000") == [false, false, false])
        #expect(try same("index.docker.io:443", "docker.io") == [true, false, true])
        #expect(try same("r.example", "s.example") == [false, false, false])
    }
}
