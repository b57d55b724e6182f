import ConfigurationModel

extension ConfigPolicy {
    /// The policy that a `policy.plugin` describes; without one, Ratify's default: every artifact must verify.
    ///
    /// - Throws: ``ConfigurationError`` for another kind of policy, a rule other than `any` and `all`, or an unknown
    ///   `signedBy`.
    package init(
        configuration plugin: ServiceConfiguration.PolicyPlugin?, warnings: inout [String]
    ) throws(ConfigurationError) {
        guard let plugin else {
            self.init()
            return
        }
        var reader = ConfigurationReader(plugin.parameters, path: plugin.path)
        reader.ignore("name", "type", "version")
        if try reader.bool("passthroughEnabled") == true {
            throw ConfigurationError(
                path: "\(plugin.path).passthroughEnabled",
                problem:
                    "is true: answers without a verdict are not supported, every answer has its reports beside the verdict"
            )
        }
        var rules: [String: Rule] = [:]
        if let section = try reader.section("artifactVerificationPolicies") {
            for (type, value) in section.object.members {
                guard let rule = value.string.flatMap(Rule.init(rawValue:)) else {
                    throw ConfigurationError(
                        path: section.memberPath(type), problem: "is \(value.shown): expected \"any\" or \"all\"")
                }
                rules[type] = rule
            }
        }
        let signedBy = try reader.value("signedBy").map { value throws(ConfigurationError) in
            guard let selection = value.string.flatMap(SubjectSelection.init(rawValue:)) else {
                throw ConfigurationError(
                    path: "\(plugin.path).signedBy",
                    problem: "is \(value.shown): expected \"manifest\", \"index\" or \"either\"")
            }
            return selection
        }
        warnings += reader.unused()
        let defaultRule = rules.removeValue(forKey: "default") ?? .all
        self.init(rules: rules, defaultRule: defaultRule, signedBy: signedBy)
    }
}
