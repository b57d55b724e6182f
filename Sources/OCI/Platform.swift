import StrictJSON

/// What a manifest in an index is for (image specification, "Image Index Property Descriptions").
public struct Platform: Hashable, Sendable, CustomStringConvertible {
    /// The operating system: `linux`.
    public var os: String
    /// The processor: `arm64`.
    public var architecture: String
    /// Which one of that architecture: `v8`.
    public var variant: String?

    /// The most bytes that each of the parts may have. What is longer names no platform.
    private static let maximumPartLength = 64

    /// A platform.
    public init(os: String, architecture: String, variant: String? = nil) {
        self.os = os
        self.architecture = architecture
        self.variant = variant
    }

    /// Reads a platform from JSON; `nil` when it does not say which one it is.
    init?(json: JSONValue) {
        guard let os = json["os"]?.string, let architecture = json["architecture"]?.string else { return nil }
        self.init(os: os, architecture: architecture, variant: json["variant"]?.string)
        let parts = [os, architecture, variant ?? ""]
        guard parts.allSatisfy({ $0.utf8.count <= Self.maximumPartLength }) else { return nil }
    }

    /// This platform as JSON.
    var json: JSONValue {
        var object: JSONObject = ["architecture": .string(architecture), "os": .string(os)]
        if let variant { object["variant"] = .string(variant) }
        return .object(object)
    }

    /// `linux/arm64/v8`
    public var description: String { ([os, architecture] + (variant.map { [$0] } ?? [])).joined(separator: "/") }
}
