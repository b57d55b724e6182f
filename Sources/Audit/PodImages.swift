import OCI
import StrictJSON

/// The images of a pod, or of the pod template of a workload: the same ones that the ConstraintTemplate sends to be
/// verified.
struct PodImages {
    struct Found {
        let container: String
        let image: String
    }

    /// Lists of containers in a pod's specification.
    private static let lists = ["initContainers", "containers", "ephemeralContainers"]

    /// The images of a specification, and what is wrong with it.
    static func images(in spec: JSONValue) -> (images: [Found], faults: [String]) {
        var found: [Found] = []
        var faults: [String] = []
        for list in lists {
            guard let value = spec[list], !value.isNull else { continue }
            guard let containers = value.array else {
                faults.append("\(list) is \(value.kind), not a list")
                continue
            }
            for (index, container) in containers.enumerated() {
                let name = container["name"]?.string ?? "\(list)[\(index)]"
                guard let image = container["image"]?.string, !image.isEmpty else {
                    faults.append("container \(name) names no image")
                    continue
                }
                found.append(Found(container: name, image: image))
            }
        }
        if let volumes = spec["volumes"], !volumes.isNull, volumes.array == nil {
            faults.append("volumes is \(volumes.kind), not a list")
        }
        for (index, volume) in (spec["volumes"]?.array ?? []).enumerated() {
            guard let source = volume["image"], !source.isNull else { continue }
            let name = "volume " + (volume["name"]?.string ?? "\(index)")
            guard let image = source["reference"]?.string, !image.isEmpty else {
                faults.append("\(name) names no image")
                continue
            }
            found.append(Found(container: name, image: image))
        }
        return (found, faults)
    }

    /// The digests that run, by container.
    static func running(in status: JSONValue?) -> [String: Digest] {
        var digests: [String: Digest] = [:]
        for list in ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"] {
            for container in status?[list]?.array ?? [] {
                guard let name = container["name"]?.string, let id = container["imageID"]?.string,
                    let at = id.lastIndex(of: "@")
                else { continue }
                digests[name] = try? Digest(parsing: String(id[id.index(after: at)...]))
            }
        }
        return digests
    }

    /// The kinds that always have pods.
    static let kinds: Set<String> = ["Pod", "CronJob", "PodTemplate"]

    /// Where the specification of a pod is in an object of a kind; `nil` for what runs no pods.
    static func spec(of object: JSONObject) -> JSONValue? {
        let value = JSONValue.object(object)
        switch value["kind"]?.string {
        case "Pod": return value["spec"]
        case "CronJob": return value["spec"]?["jobTemplate"]?["spec"]?["template"]?["spec"]
        case "PodTemplate": return value["template"]?["spec"]
        // Deployments and their like, and every custom resource that follows their shape.
        default:
            guard let spec = value["spec"]?["template"]?["spec"], spec["containers"]?.array != nil else { return nil }
            return spec
        }
    }
}
