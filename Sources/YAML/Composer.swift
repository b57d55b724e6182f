import CYAML
import StrictJSON

/// Builds values from events, within the limits.
struct Composer {
    /// A value and what it costs when an alias repeats it.
    private struct Node {
        var value: JSONValue
        var values = 1
        var bytes = 0
        var depth = 0
    }

    private let events: EventReader
    private let limits: YAML.Limits
    private var anchors: [String: Node] = [:]
    private var values = 0
    private var bytes = 0

    init(_ events: EventReader, limits: YAML.Limits) {
        self.events = events
        self.limits = limits
    }

    mutating func documents() throws(YAMLError) -> [JSONValue] {
        var result: [JSONValue] = []
        while true {
            let event = try events.next()
            switch event.kind {
            case CYAML_DOCUMENT_START:
                anchors = [:]
                let node = try node(try events.next(), depth: 0)
                if !node.value.isNull { result.append(node.value) }
                // The end of the document: an event of its own, with nothing to tell.
                _ = try events.next()
            case CYAML_STREAM_END: return result
            default: throw event.fault(.syntax("did not expect this here"))
            }
        }
    }

    private mutating func node(_ event: Event, depth: Int) throws(YAMLError) -> Node {
        var node: Node
        switch event.kind {
        case CYAML_SCALAR:
            try spend(values: 1, bytes: event.value.utf8.count, event)
            node = Node(value: try Scalar.value(of: event), bytes: event.value.utf8.count)
        case CYAML_ALIAS:
            let name = event.anchor ?? ""
            // An anchor is known when its value is finished, so no value contains itself.
            guard let anchored = anchors[name] else { throw event.fault(.unknownAnchor(name)) }
            guard depth + anchored.depth <= limits.depth else { throw event.fault(.tooDeep(limits.depth)) }
            try spend(values: anchored.values, bytes: anchored.bytes, event)
            return anchored
        case CYAML_SEQUENCE_START:
            try check(event, isTagged: "seq", depth: depth)
            node = try sequence(event, depth: depth + 1)
        case CYAML_MAPPING_START:
            try check(event, isTagged: "map", depth: depth)
            node = try mapping(event, depth: depth + 1)
        default: throw event.fault(.syntax("did not expect this here"))
        }
        if let anchor = event.anchor { anchors[anchor] = node }
        return node
    }

    private mutating func check(_ event: Event, isTagged name: String, depth: Int) throws(YAMLError) {
        if let tag = event.tag, tag != "!", tag != Scalar.tagPrefix + name { throw event.fault(.unsupportedTag(tag)) }
        guard depth < limits.depth else { throw event.fault(.tooDeep(limits.depth)) }
        try spend(values: 1, bytes: 0, event)
    }

    private mutating func spend(values: Int, bytes: Int, _ event: Event) throws(YAMLError) {
        self.values += values
        self.bytes += bytes
        guard self.values <= limits.values else { throw event.fault(.tooManyValues(limits.values)) }
        guard self.bytes <= limits.expandedBytes else { throw event.fault(.tooLargeExpanded(limits.expandedBytes)) }
    }

    private mutating func sequence(_ start: Event, depth: Int) throws(YAMLError) -> Node {
        var elements: [JSONValue] = []
        var node = Node(value: .null, depth: 1)
        while true {
            let event = try events.next()
            if event.kind == CYAML_SEQUENCE_END { break }
            let element = try self.node(event, depth: depth)
            elements.append(element.value)
            node.values += element.values
            node.bytes += element.bytes
            node.depth = max(node.depth, element.depth + 1)
        }
        node.value = .array(elements)
        return node
    }

    private mutating func mapping(_ start: Event, depth: Int) throws(YAMLError) -> Node {
        var members: [(String, JSONValue)] = []
        var names: Set<String> = []
        var merged: [(value: JSONValue, event: Event)] = []
        var node = Node(value: .null, depth: 1)
        while true {
            let event = try events.next()
            if event.kind == CYAML_MAPPING_END { break }
            let isMerge =
                event.kind == CYAML_SCALAR && event.isPlain && event.value == "<<"
                && (event.tag == nil || event.tag == Scalar.tagPrefix + "merge")
            let key: String
            if isMerge {
                try spend(values: 1, bytes: 2, event)
                key = "<<"
            } else {
                key = try name(try self.node(event, depth: depth), event)
            }
            let element = try self.node(try events.next(), depth: depth)
            node.values += 1 + element.values
            node.bytes += key.utf8.count + element.bytes
            node.depth = max(node.depth, element.depth + 1)
            if isMerge {
                guard merged.isEmpty else { throw event.fault(.duplicateKey(key)) }
                merged.append((element.value, event))
            } else {
                guard names.insert(key).inserted else { throw event.fault(.duplicateKey(key)) }
                members.append((key, element.value))
            }
        }
        // Members of the mapping itself win over merged ones, and of those the first.
        for (value, event) in merged {
            for source in try sources(of: value, event) {
                for (key, value) in source.members where names.insert(key).inserted {
                    members.append((key, value))
                }
            }
        }
        node.value = .object(JSONObject(uniqueMembers: members))
        return node
    }

    private func sources(of value: JSONValue, _ event: Event) throws(YAMLError) -> [JSONObject] {
        switch value {
        case .object(let object): return [object]
        case .array(let elements):
            var objects: [JSONObject] = []
            for element in elements {
                guard let object = element.object else { throw event.fault(.unsuitableMerge) }
                objects.append(object)
            }
            return objects
        default: throw event.fault(.unsuitableMerge)
        }
    }

    private func name(_ node: Node, _ event: Event) throws(YAMLError) -> String {
        switch node.value {
        case .string(let text): return text
        case .number(let text): return text
        case .bool(let value): return value ? "true" : "false"
        case .null, .array, .object: throw event.fault(.unsupportedKey)
        }
    }
}
