import OCI
import Testing

/// Expects a ``RegistryError`` of a kind, and gives its text.
@discardableResult
func expectError(
    _ kind: RegistryError.Kind, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> some Any
) async -> String {
    do {
        let value = try await body()
        Issue.record("no error but \(value)", sourceLocation: sourceLocation)
        return ""
    } catch let error as RegistryError {
        #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
        return error.description
    } catch {
        Issue.record("another error: \(error)", sourceLocation: sourceLocation)
        return ""
    }
}
