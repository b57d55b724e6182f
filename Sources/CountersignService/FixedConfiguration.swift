import Verification

/// One configuration that stays as it is: what a command works with from its start to its end.
package struct FixedConfiguration: ConfigurationSource {
    private let built: BuiltConfiguration

    /// A source of what was built.
    package init(_ built: BuiltConfiguration) { self.built = built }

    package func snapshot(for namespace: String?) -> Result<ConfigurationSnapshot, ConfigurationUnavailable> {
        .success(built.snapshot)
    }

    package func trustGeneration(for namespace: String?) -> UInt64 { built.trusted.generation }

    package var readiness: Readiness {
        get async {
            let missing = built.trusted.missing
            return missing.isEmpty ? .ready : .notReady(missing.joined(separator: "; "))
        }
    }
}
