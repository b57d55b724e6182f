import StrictJSON
import Testing

@testable import ConfigurationModel
@testable import Verification

@Suite struct ServiceConfigurationTests {
    static let minimal = #"{"store":{"plugins":[{"name":"oras"}]},"verifier":{"plugins":[{"name":"notation"}]}}"#

    private func parse(_ text: String) throws(ConfigurationError) -> ServiceConfiguration {
        try ServiceConfiguration(parsing: Array(text.utf8))
    }

    @Test func readsRatifysShape() throws {
        let configuration = try parse(
            """
            {"executor":{"verificationRequestTimeout":4900,"mutationRequestTimeout":1900},
             "store":{"version":"1.0.0","plugins":[{"name":"oras","useHttp":true}]},
             "policy":{"version":"1.0.0","plugin":{"name":"configPolicy","artifactVerificationPolicies":
                {"application/vnd.cncf.notary.signature":"any","default":"all"}}},
             "verifier":{"version":"1.0.0","plugins":[{"name":"verifier-notation","type":"notation",
                "artifactTypes":"application/vnd.cncf.notary.signature"}]},
             "logger":{"formatter":"json","level":"debug","requestHeaders":{"traceIDHeaderName":["x-trace"]}}}
            """)
        #expect(configuration.settings.verificationTimeout == .milliseconds(4900))
        #expect(configuration.settings.mutationTimeout == .milliseconds(1900))
        #expect(configuration.settings.traceIDHeaderNames == ["x-trace"])
        #expect(configuration.stores.first?.parameters["useHttp"] == true)
        #expect(configuration.verifiers.first?.name == "verifier-notation")
        #expect(configuration.verifiers.first?.type == .notation)
        #expect(configuration.logger == ServiceConfiguration.Logger(formatter: "json", level: "debug"))
        #expect(configuration.warnings.isEmpty)
        var warnings: [String] = []
        let policy = try ConfigPolicy(configuration: configuration.policy, warnings: &warnings)
        #expect(policy == ConfigPolicy(rules: ["application/vnd.cncf.notary.signature": .any], defaultRule: .all))
    }

    @Test(arguments: ["text", "json", "logstash"])
    func keepsTheFormatterThatWasAskedFor(formatter: String) throws {
        let configuration = try parse(#"{"logger":{"formatter":""# + formatter + #""},"# + Self.minimal.dropFirst())
        #expect(configuration.logger.formatter == formatter)
    }

    @Test func hasRatifysDefaults() throws {
        let configuration = try parse(Self.minimal)
        #expect(configuration.settings == ServiceSettings())
        #expect(configuration.settings.verificationTimeout == .milliseconds(2900))
        #expect(configuration.settings.mutationTimeout == .milliseconds(950))
        var warnings: [String] = []
        #expect(
            try ConfigPolicy(configuration: nil, warnings: &warnings) == ConfigPolicy(rules: [:], defaultRule: .all))
    }

    @Test func warnsOfWhatHasNoEffect() throws {
        var configuration = try parse(#"{"stroe":{},"executor":{"tiemout":1},"# + Self.minimal.dropFirst())
        configuration.warnings.sort()
        #expect(
            configuration.warnings == [
                "executor.tiemout is not known and has no effect", "stroe is not known and has no effect",
            ])
    }

    @Test(arguments: [
        ("", "is not valid JSON"), ("[]", "expected an object"), ("{}", "store.plugins names no store"),
        (#"{"store":{"plugins":[{"name":"oras"}]}}"#, "verifier.plugins names no verifier"),
        (#"{"store":{"plugins":{}},"verifier":{}}"#, "store.plugins is an object: expected a list"),
        (#"{"store":{"plugins":[{}]}}"#, "store.plugins[0].name is missing"),
        (#"{"store":{"plugins":[{"name":7}]}}"#, "store.plugins[0].name is a number"),
        (#"{"store":{},"store":{}}"#, "occurs twice"),
    ])
    func namesWhatIsWrong(text: String, expected: String) {
        #expect {
            try parse(text)
        } throws: { error in
            "\(error)".contains(expected)
        }
    }

    /// A type is read once, in whatever case, and is a case of an enumeration from then on.
    @Test func aTypeHasNoCase() throws {
        for (text, type) in [("OCI-Layout", StoreType.ociLayout), ("oci-layout", .ociLayout), ("ORAS", .oras)] {
            let configuration = try parse(
                #"{"store":{"plugins":[{"name":"\#(text)","path":"/x"}]},"verifier":{"plugins":[{"name":"NOTATION"}]},"#
                    + #""keyManagementProvider":{"plugins":[{"name":"a","type":"InLine"},{"name":"AzureKeyVault"}]},"#
                    + #""policy":{"plugin":{"name":"ConfigPolicy"}}}"#)
            #expect(configuration.stores.map(\.type) == [type])
            #expect(configuration.verifiers.map(\.type) == [.notation] && configuration.policy?.type == .configPolicy)
            #expect(configuration.keyManagementProviders.map(\.type) == [.inline, .azureKeyVault])
        }
        #expect(throws: ConfigurationError.self) { try CredentialSource(parsing: "docker", path: "x") }
        #expect(try CredentialSource(parsing: "K8SECRETS", path: "x") == .k8Secrets)
    }

    @Test(arguments: [
        (
            #"{"store":{"plugins":[{"name":"oci layout"}]}}"#,
            "store.plugins[0].name is \"oci layout\": this store is not"
        ),
        (#"{"store":{"plugins":[{"name":"oras","type":"x"}]}}"#, "store.plugins[0].type is \"x\": this store is not"),
        (
            #"{"verifier":{"plugins":[{"name":"sbom"}]}}"#,
            "verifier.plugins[0].name is \"sbom\": this verifier is not"
        ),
        (#"{"keyManagementProvider":{"plugins":[{"name":"a","type":"vault"}]}}"#, "plugins[0].type is \"vault\""),
    ])
    func refusesTypesItDoesNotKnow(text: String, expected: String) throws {
        #expect {
            try parse(text)
        } throws: { error in
            "\(error)".contains(expected)
        }
        // Where custom resources say what is verified, nobody reads it.
        let settings = try ServiceConfiguration(parsing: Array(text.utf8), isWhole: false)
        #expect(settings.warnings.count == 1 && settings.warnings[0].contains("has no effect: custom resources say"))
    }

    @Test(arguments: [
        (#"{"executor":{"verificationRequestTimeout":0},"#, "executor.verificationRequestTimeout is 0"),
        (#"{"executor":{"verificationRequestTimeout":"5s"},"#, "expected a whole number"),
        (#"{"logger":{"formatter":"xml"},"#, "logger.formatter"),
        (#"{"executor":{"maximumConcurrent":0},"#, "executor.maximumConcurrent is 0"),
        (#"{"cache":{"staleIfError":"forever"},"#, "cache.staleIfError is \"forever\": expected a duration up to 24h"),
        (#"{"cache":{"prewarm":true},"#, "cache.prewarm is a Boolean"),
        (#"{"cache":{"prewarm":{"enabled":true,"ratePerMinute":0}},"#, "cache.prewarm.ratePerMinute"),
        (#"{"cache":{"staleIfError":"25h"},"#, "expected a duration up to 24h"),
    ])
    func refusesWrongValues(prefix: String, expected: String) {
        #expect {
            try parse(prefix + Self.minimal.dropFirst())
        } throws: { error in
            "\(error)".contains(expected)
        }
    }

    @Test(arguments: [
        ("", SubjectSelection?.none), (#","signedBy":null"#, nil), (#","signedBy":"manifest""#, .manifest),
        (#","signedBy":"index""#, .index), (#","signedBy":"either""#, .either),
    ])
    func readsWhatMustBeSigned(member: String, selection: SubjectSelection?) throws {
        let configuration = try parse(
            #"{"policy":{"plugin":{"name":"configPolicy"\#(member)}},"# + Self.minimal.dropFirst())
        var warnings: [String] = []
        #expect(try ConfigPolicy(configuration: configuration.policy, warnings: &warnings).signedBy == selection)
        #expect(warnings.isEmpty)
    }

    @Test(arguments: [
        (#"{"name":"regopolicy"}"#, "only \"configPolicy\" is supported"),
        (#"{"name":"configPolicy","passthroughEnabled":true}"#, "passthroughEnabled"),
        (#"{"name":"configPolicy","artifactVerificationPolicies":{"x":"some"}}"#, "expected \"any\" or \"all\""),
        (
            #"{"name":"configPolicy","signedBy":"manifests"}"#,
            "policy.plugin.signedBy is \"manifests\": expected \"manifest\", \"index\" or \"either\""
        ),
        (#"{"name":"configPolicy","signedBy":""}"#, "policy.plugin.signedBy is \"\""),
        (#"{"name":"configPolicy","signedBy":["index"]}"#, "policy.plugin.signedBy is ["),
    ])
    func refusesPoliciesItDoesNotKnow(plugin: String, expected: String) throws {
        #expect {
            let configuration = try parse(#"{"policy":{"plugin":"# + plugin + "}," + Self.minimal.dropFirst())
            var warnings: [String] = []
            _ = try ConfigPolicy(configuration: configuration.policy, warnings: &warnings)
        } throws: { error in
            "\(error)".contains(expected)
        }
    }
}
