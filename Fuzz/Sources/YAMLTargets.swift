import StrictJSON
import YAML

let yamlTargets = [
    FuzzTarget("yaml", maximumLength: 16_384) { bytes in
        let documents: [JSONValue]
        do throws(YAMLError) { documents = try YAML.parse(bytes) } catch {
            requireReadable(error)
            require(error.line >= 0 && error.column >= 0, "an error at line \(error.line), column \(error.column)")
            return
        }
        for document in documents {
            require(!document.isNull, "an empty document")
            let written = document.bytes
            // The bounds hold with aliases expanded.
            require(written.count <= 8 * (16 << 20), "\(written.count) bytes from \(bytes.count)")
            // What is written is JSON, and JSON is YAML: all three readers agree.
            do {
                require(try StrictJSON.parse(written) == document, "what is written is another value")
            } catch { violated("what is written is refused: \(error)") }
            guard document.object != nil || document.array != nil else { continue }
            guard let again = try? YAML.parse(written) else { continue }
            require(again == [document], "what is written is another value in YAML")
        }
        // JSON that is an object is read as JSON.
        if let value = try? StrictJSON.parse(bytes), value.object != nil {
            require(documents == [value], "YAML reads an object of JSON as something else")
        }
    }
]
