import Azure
import Testing

@Suite struct RegistryEndpointsTests {
    @Test(arguments: [
        ("contoso.azurecr.io", true), ("Contoso.AzureCR.io", true), ("contoso.azurecr.us", true),
        ("contoso.azurecr.cn", true), ("a.contoso.azurecr.io", false), ("azurecr.io", false),
        ("contoso.azurecr.io.evil.example", false), ("contosoazurecr.io", false), ("contoso.azurecr.io:443", true),
        ("contoso.azurecr.io:80", false), ("contoso.azurecr.io.", true),
        ("docker.io", false), (".azurecr.io", false), ("", false),
    ])
    func knowsTheRegistriesOfTheThreeClouds(host: String, isOne: Bool) {
        #expect(RegistryEndpoints.azure.contain(host) == isOne)
    }

    @Test func namesMatchExactlyAndAStarOneLabel() throws {
        let endpoints = try RegistryEndpoints(["r.example", "*.team.example", "localhost:5000"])
        #expect(endpoints.contain("r.example") && endpoints.contain("localhost:5000"))
        #expect(endpoints.contain("a.team.example"))
        for host in ["a.r.example", "team.example", "a.b.team.example", "localhost", "localhost:5001", "x.azurecr.io"] {
            #expect(!endpoints.contain(host), "\(host)")
        }
        #expect(try RegistryEndpoints([]) == .azure)
    }

    @Test func anySpellingOfARegistryIsTheRegistry() throws {
        let endpoints = try RegistryEndpoints(["R.example:443", "*.Team.example.", "s.example:5000"])
        for host in ["r.example", "r.example:443", "a.team.example", "a.team.example:443", "S.example:5000"] {
            #expect(endpoints.contain(host), "\(host)")
        }
        for host in ["r.example:80", "s.example", "a.team.example:5000"] {
            #expect(!endpoints.contain(host), "\(host)")
        }
    }

    @Test(arguments: [
        "*", "*.", "example.*", "*example.com", "*example.com.*", "*.*", "", "a.*.example", "r.example/app",
        "https://r.example", "r.example:x", "*.10.1",
    ])
    func refusesOtherPatterns(pattern: String) {
        #expect(throws: AzureError.self) { try RegistryEndpoints([pattern]) }
    }
}
