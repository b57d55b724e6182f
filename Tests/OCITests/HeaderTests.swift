import Testing

@testable import OCI

@Suite struct AuthenticationChallengeTests {
    @Test func readsABearerChallenge() {
        let challenges = AuthenticationChallenge.parse([
            #"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#
        ])
        #expect(challenges.count == 1)
        #expect(challenges.first?.scheme == "bearer")
        #expect(
            challenges.first?.parameters == [
                "realm": "https://auth.docker.io/token", "service": "registry.docker.io",
                "scope": "repository:a/b:pull,push",
            ])
    }

    @Test func readsSeveralChallenges() {
        let one = AuthenticationChallenge.parse([
            #"Negotiate, BASIC Realm="a, b=\"c\"" , bearer REALM=https , Digest abc/def==, Basic realm=x"#
        ])
        #expect(one.map(\.scheme) == ["negotiate", "basic", "bearer", "digest", "basic"])
        #expect(one[1].parameters == ["realm": #"a, b="c""#])
        #expect(one[2].parameters == ["realm": "https"])
        #expect(one[3].parameters.isEmpty)
        #expect(one[4].parameters == ["realm": "x"])
        let two = AuthenticationChallenge.parse([#"Basic realm="a""#, #"Bearer realm="b""#])
        #expect(two.map(\.scheme) == ["basic", "bearer"])
    }

    @Test func keepsTheFirstOfTwoEqualNames() {
        let challenges = AuthenticationChallenge.parse([#"Bearer realm="https://a",realm="https://b""#])
        #expect(challenges.first?.parameters["realm"] == "https://a")
    }

    @Test(arguments: [
        "", ",", ", ,", "=", "\"", "Bearer", "Bearer realm", "Bearer realm=", #"Bearer realm="abc"#,
        #"Bearer realm="a\"#,
        "Bearer =x", "Bearer realm=\"a\" service=\"b\"", "\u{1}\u{2}", "Bearer realm=\"\u{FFFD}\"",
    ])
    func survivesFaults(field: String) {
        let challenges = AuthenticationChallenge.parse([field])
        #expect(challenges.count <= 1)
    }

    @Test func ignoresAnEnormousField() {
        #expect(
            AuthenticationChallenge.parse(["Bearer realm=\"" + String(repeating: "a", count: 20_000) + "\""]).isEmpty)
    }
}

@Suite struct LinkHeaderTests {
    @Test(arguments: [
        (#"</v2/a/referrers/x?n=1>; rel="next""#, "/v2/a/referrers/x?n=1"),
        ("<https://r.example/v2/a?x=1,2>;rel=next", "https://r.example/v2/a?x=1,2"),
        (#"</first>; rel="first", </next>; title="a, <b>"; REL="prev Next""#, "/next"),
        (#"<>; rel=next"#, ""),
        (#"</a>; rel="prev""#, nil),
        (#"</a>"#, nil),
        (#"</a; rel="next""#, nil),
        ("", nil),
        ("garbage", nil),
        (#"</a>; anchor="x"; nextrel=next"#, nil),
    ])
    func findsTheNextPage(field: String, target: String?) {
        #expect(LinkHeader.next([field]) == target)
    }

    @Test func looksAtEveryField() {
        #expect(LinkHeader.next([#"</a>; rel="prev""#, #"</b>; rel="next""#]) == "/b")
        #expect(LinkHeader.next([]) == nil)
    }
}
