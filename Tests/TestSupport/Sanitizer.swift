import Foundation

/// What a sanitizer changes about what tests may expect.
public enum Sanitizer {
    /// Whether this process, and the command that was built with it, run under AddressSanitizer or ThreadSanitizer.
    public static let isOn: Bool = {
        let program = dlopen(nil, RTLD_NOW)
        return dlsym(program, "__asan_init") != nil || dlsym(program, "__tsan_init") != nil
    }()

    /// A bound on memory that holds under a sanitizer, too: it keeps shadows of all memory, and what was freed for a
    /// while.
    public static func memory(_ bytes: Int) -> Int { isOn ? 8 * bytes : bytes }
}
