extension Unicode.Scalar {
    /// The scalar as Swift escapes it: `\u{1b}`.
    package var escaped: String { "\\u{\(String(value, radix: 16))}" }

    /// Whether it is a control or a mark of direction: such let a text show as another one, or move a terminal's
    /// cursor.
    package var isControlOrDirection: Bool {
        value < 0x20 || (0x7F...0x9F).contains(value) || (0x202A...0x202E).contains(value)
            || (0x2066...0x2069).contains(value)
    }
}
