/// A string compared by its bytes: for Swift's `==` two keys that differ in Unicode normalisation are one, for
/// Gatekeeper they are two.
package struct ExactText: Hashable, Sendable {
    /// The string.
    package let text: String

    /// A string to be compared by its bytes.
    package init(_ text: String) { self.text = text }

    package static func == (left: ExactText, right: ExactText) -> Bool {
        var (left, right) = (left.text, right.text)
        return left.withUTF8 { left in right.withUTF8 { left.count == $0.count && left.elementsEqual($0) } }
    }

    package func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
