import Encoding

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What a person sees: colour on a terminal only, complaints on standard error.
enum Terminal {
    enum Colour: String {
        case green = "32"
        case red = "31"
        case yellow = "33"
        case faint = "2"
        case bold = "1"
    }

    /// Whether standard output is a terminal that wants colour (https://no-color.org).
    static let isColoured = isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil

    /// The text in a colour, where colours are shown.
    static func paint(_ text: String, _ colour: Colour) -> String {
        isColoured ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// Text of unknown origin with control characters made visible, so that a registry cannot move the cursor.
    static func plain(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: \.isControlOrDirection) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar.isControlOrDirection {
                result += scalar.escaped
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Says what went wrong, on standard error.
    static func complain(_ text: String, isPlain: Bool = false) {
        write((isPlain ? text : "countersign: \(plain(text))") + "\n")
    }

    /// Whether a person sees standard error.
    static let isErrorTerminal = isatty(STDERR_FILENO) == 1

    /// Writes to standard error as it is.
    static func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { systemWrite(STDERR_FILENO, $0.baseAddress, $0.count) }
            guard written > 0 else { return }
            bytes = bytes.dropFirst(written)
        }
    }

    /// Writes out what `print` still holds.
    static func flush() { fflush(nil) }
}

extension String {
    /// The text with spaces behind it, one at least.
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}

/// The system's call, where `write` is a name of our own.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}
