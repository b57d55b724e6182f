import Encoding
import FoundationEssentials
import KeyManagement
import PKI
import StrictJSON

/// What an audit found.
package struct AuditReport: Sendable {
    /// A trusted certificate and when it expires.
    package struct Expiry: Sendable, Hashable {
        /// The key management provider.
        package let provider: String
        /// The certificate's subject.
        package let subject: String
        /// The last moment of its validity.
        package let notAfter: Date

        /// Whole days until then; negative when it is over.
        package func days(from moment: Date) -> Int {
            Int((notAfter.timeIntervalSince(moment) / 86_400).rounded(.down))
        }
    }

    /// What was looked at: a cluster, a directory.
    package let source: String
    /// The configuration that judged.
    package let configuration: String
    /// When.
    package let moment: Date
    /// The images: denied ones first, then undetermined ones, each in the order of their names.
    package let images: [AuditedImage]
    /// What could not be looked at.
    package let gaps: [String]
    /// Why what is denied here may be admitted all the same (``GatekeeperWebhooks``).
    package let warnings: [String]
    /// The trusted certificates, the next to expire first.
    package let expiries: [Expiry]

    /// A report of verified images.
    package init(
        source: String, configuration: String, moment: Date, images: [AuditedImage], gaps: [String],
        warnings: [String] = [], providers: [any CertificateProvider]
    ) {
        self.source = source
        self.configuration = configuration
        self.moment = moment
        self.gaps = gaps
        self.warnings = warnings
        let order = AuditedImage.Verdict.allCases
        self.images = images.sorted { left, right in
            let (first, second) = (order.firstIndex(of: left.verdict) ?? 0, order.firstIndex(of: right.verdict) ?? 0)
            return first != second ? first < second : left.image.reference < right.image.reference
        }
        var expiries: Set<Expiry> = []
        for provider in providers {
            for certificate in provider.current()?.certificates ?? [] {
                expiries.insert(
                    Expiry(
                        provider: provider.name, subject: certificate.subject.rfc2253, notAfter: certificate.notAfter))
            }
        }
        self.expiries = expiries.sorted {
            ($0.notAfter, $0.provider, $0.subject) < ($1.notAfter, $1.provider, $1.subject)
        }
    }

    /// The images with a verdict.
    package func images(_ verdict: AuditedImage.Verdict) -> [AuditedImage] { images.filter { $0.verdict == verdict } }

    /// How many workloads would lose a pod that starts anew, each once.
    package var deniedWorkloads: Int {
        Set(images(.denied).flatMap(\.image.uses).map { "\($0.kind)/\($0.namespace)/\($0.name)" }).count
    }

    /// The report as JSON (docs/audit.md).
    package var json: JSONValue {
        [
            "source": .string(source), "configuration": .string(configuration),
            "time": .string(UTC.text(moment)),
            "summary": [
                "images": .number(String(images.count)),
                "admitted": .number(String(images(.admitted).count)),
                "denied": .number(String(images(.denied).count)),
                "undetermined": .number(String(images(.undetermined).count)),
                "deniedWorkloads": .number(String(deniedWorkloads)),
                "isComplete": .bool(gaps.isEmpty),
            ],
            "images": .array(images.map(json)),
            "gaps": .array(gaps.map(JSONValue.string)),
            "warnings": .array(warnings.map(JSONValue.string)),
            "certificates": .array(
                expiries.map {
                    [
                        "provider": .string($0.provider), "subject": .string($0.subject),
                        "notAfter": .string(UTC.text($0.notAfter)),
                        "daysLeft": .number(String($0.days(from: moment))),
                    ]
                }),
        ]
    }

    private func json(_ audited: AuditedImage) -> JSONValue {
        var object: JSONObject = [
            "image": .string(audited.image.reference), "verdict": .string(audited.verdict.rawValue),
        ]
        object["namespace"] = audited.image.scope.map(JSONValue.string)
        object["digest"] = audited.digest.map { .string($0.description) }
        object["reason"] = audited.reason.map(JSONValue.string)
        object["remediation"] = audited.remedy.map(JSONValue.string)
        object["signer"] = audited.signer.map(JSONValue.string)
        if audited.hasMoved { object["tagHasMoved"] = true }
        object["uses"] = .array(
            audited.image.uses.map { use in
                var value: JSONObject = [
                    "namespace": .string(use.namespace), "kind": .string(use.kind), "name": .string(use.name),
                    "container": .string(use.container),
                ]
                value["owner"] = use.owner.map(JSONValue.string)
                value["runningDigest"] = use.running.map { .string($0.description) }
                value["file"] = use.file.map(JSONValue.string)
                return .object(value)
            })
        return .object(object)
    }
}
