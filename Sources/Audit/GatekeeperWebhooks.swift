import Kubernetes
import StrictJSON

/// Looks whether a cluster waits for the verdicts of Gatekeeper: what a policy denies is kept out by Gatekeeper's
/// webhook, and the webhook's `failurePolicy` says what becomes of an object when its answer does not come in time.
package struct GatekeeperWebhooks: Sendable {
    private let client: KubernetesClient

    /// Of the cluster that `client` asks.
    package init(client: KubernetesClient) { self.client = client }

    /// What whoever audits has to know of them, each in one line; empty when all hold up what is not answered.
    package func warnings() async -> [String] {
        let configurations: [JSONObject]
        do throws(KubernetesError) {
            configurations = try await client.list(.validatingWebhookConfiguration).items
        } catch {
            let right = error.kind == .forbidden ? " (list of validatingwebhookconfigurations)" : ""
            return [
                "whether unverified images are kept out when Gatekeeper does not answer in time is not known: the "
                    + "failurePolicy of its webhook could not be read\(right): \(error)"
            ]
        }
        var found = false
        var warnings: [String] = []
        for configuration in configurations {
            guard let name = configuration.resourceKey?.name else { continue }
            for (index, webhook) in (configuration["webhooks"]?.array ?? []).enumerated() {
                // Gatekeeper's name for the webhook that asks the constraints, in Azure's add-on too. Its other one
                // guards a label of namespaces.
                guard webhook["name"]?.string == "validation.gatekeeper.sh" else { continue }
                found = true
                guard webhook["failurePolicy"]?.string != "Fail" else { continue }
                warnings.append(Self.warning(name, index, webhook))
            }
        }
        guard found else {
            return [
                "there is no webhook validation.gatekeeper.sh in the cluster, so nothing keeps an image out: install "
                    + "Gatekeeper, and a template and a constraint (docs/policies.md)"
            ]
        }
        return warnings
    }

    private static func warning(_ name: String, _ index: Int, _ webhook: JSONValue) -> String {
        let policy = webhook["failurePolicy"]?.string ?? "not said"
        let wait = webhook["timeoutSeconds"]?.integer.map { "within \($0) s" } ?? "in time"
        let change =
            "kubectl patch validatingwebhookconfiguration \(name) --type=json "
            + "-p '[{\"op\":\"add\",\"path\":\"/webhooks/\(index)/failurePolicy\",\"value\":\"Fail\"}]'"
        let lasting =
            name.hasPrefix("azure-policy-")
            ? "The add-on may set it back"
            : "With Helm: helm upgrade gatekeeper gatekeeper/gatekeeper --namespace gatekeeper-system --reuse-values "
                + "--set validatingWebhookFailurePolicy=Fail"
        return
            "failurePolicy of the webhook validation.gatekeeper.sh in \(name) is \(policy): whatever Gatekeeper does "
            + "not answer \(wait), because it is away or busy, is admitted unverified. To refuse it instead: \(change). "
            + "\(lasting). Run three replicas of Gatekeeper then (docs/operations.md)"
    }
}
