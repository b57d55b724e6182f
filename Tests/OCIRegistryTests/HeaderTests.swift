import Testing

@testable import OCI
@testable import OCIRegistry

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
        (#"  , </a> ; rel = NEXT ; , "#, "/a"),
        (#"</a>; crossorigin; rel="ne\xt"; title="a \" b""#, "/a"),
        (#"</a>; rel=next, </a>; rel=next"#, "/a"),
        (#"<?page=2>; rel="next last"; anchor="x""#, "?page=2"),
        (#"</a>; rel="prev""#, nil),
        (#"</a>; rel=prev, </b>; rel="first last""#, nil),
        (#"</a>; rel="https://example.com/rels/next""#, nil),
        ("", nil),
        (" , ,", nil),
    ])
    func findsTheNextPage(field: String, target: String?) throws {
        #expect(try LinkHeader.next([field]) == target)
    }

    /// There may be more, and what cannot be read does not say where.
    @Test(arguments: [
        #"/v2/a?page=2; rel="next""#, #"<>; rel=next"#, "</a>", "</a>;", #"</a; rel="next""#, "garbage",
        #"</a>; anchor="x"; nextrel=next"#, #"</a>; rel="next"#, #"</a>; rel="#, "</a>; rel", #"</a>; rel="""#,
        #"</a>; rel=prev; rel=next"#, #"</a>; rel=next; rel=prev"#, #"</a>; rel*=UTF-8''next"#, "</a>; rel='next'",
        #"</a>; rel=“next”"#, #"</a>; rel="next-page""#, "</a>; rel=prev next", #"</a> rel="next""#,
        #"</a>; rel=prev </b>; rel=next"#, #"</a>; rel=next, </b>; rel=next"#, #"</a b>; rel=next"#,
        "</\u{1}>; rel=next", #"</a>; title="x\"#, "</a>; =next", #"\u{FFFD}</a>; rel=next"#,
        #"&lt;/a&gt;; rel="next""#, #""</a>; rel=next""#, #"<</a>>; rel=next"#,
    ])
    func refusesWhatCannotBeRead(field: String) {
        for fields in [[field], [#"</b>; rel="prev""#, field]] {
            do {
                let next = try LinkHeader.next(fields)
                Issue.record("taken for \(next ?? "no next page")")
            } catch { #expect(error.description.hasPrefix("its Link header ")) }
        }
    }

    @Test func looksAtEveryField() throws {
        #expect(try LinkHeader.next([#"</a>; rel="prev""#, #"</b>; rel="next""#]) == "/b")
        #expect(try LinkHeader.next([]) == nil)
        #expect(throws: LinkHeader.Fault.self) {
            try LinkHeader.next([#"</a>; rel="next""#, #"</b>; rel="next""#])
        }
        let long = "</" + String(repeating: "a", count: 20_000) + ">; rel=prev"
        #expect(throws: LinkHeader.Fault.self) { try LinkHeader.next([long, long]) }
    }
}
