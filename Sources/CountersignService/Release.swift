/// This release of Countersign.
public enum Release {
    /// The version, by Semantic Versioning.
    public static let version = "0.1.0-dev"
    /// What is sent as `User-Agent` and written as the signing agent.
    public static let agent = "countersign/\(version)"

    /// The system and processor that this program was built for.
    public static let platform: String = {
        #if os(Linux)
            let system = "linux"
        #elseif os(macOS)
            let system = "macos"
        #else
            let system = "other"
        #endif
        #if arch(x86_64)
            return "\(system)/amd64"
        #elseif arch(arm64)
            return "\(system)/arm64"
        #else
            return system
        #endif
    }()

    /// Whether this program was built for use or for debugging.
    public static let build: String = {
        #if DEBUG
            return "debug"
        #else
            return "release"
        #endif
    }()
}
