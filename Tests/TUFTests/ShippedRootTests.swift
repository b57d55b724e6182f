import Foundation
import Testing

@testable import TUF

/// The roots that are compiled in.
@Suite struct ShippedRootTests {
    @Test(arguments: ShippedRoot.allCases) func isSignedByItsOwnKeys(_ shipped: ShippedRoot) throws {
        let root = try RootMetadata(trusted: shipped.bytes)
        #expect(root.consistentSnapshot)
        #expect(root.header.version == (shipped == .publicGood ? 15 : 3))
    }

    /// A change of any signed value is noticed; GitHub's root has signatures that are empty, or by keys of its
    /// predecessor.
    @Test(arguments: ShippedRoot.allCases) func isNotTrustedWhenChanged(_ shipped: ShippedRoot) throws {
        let text = String(decoding: shipped.bytes, as: UTF8.self)
        for (old, new) in [
            (#""threshold": 1"#, #""threshold": 2"#),
            (#""consistent_snapshot": true"#, #""consistent_snapshot": false"#),
            ("x-tuf-on-ci-keyowner", "x-tuf-on-ci-keyholder"),
        ] {
            let changed = text.replacingOccurrences(of: old, with: new)
            #expect(changed != text)
            #expect(throws: TUFError.Problem.self) { try RootMetadata(trusted: Array(changed.utf8)) }
        }
    }
}
