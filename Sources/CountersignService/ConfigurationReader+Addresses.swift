import ConfigurationModel
import IPAddresses
import Quotation
import StrictJSON

extension ConfigurationReader {
    /// `"allowPrivateAddresses": true`, or a list of blocks: `["10.20.0.0/16"]`; `nil` when it is not there.
    mutating func privateAddresses() throws(ConfigurationError) -> PrivateAddresses? {
        let name = "allowPrivateAddresses"
        guard let value = value(name) else { return nil }
        if value.array == nil { return try bool(name) == true ? .allowed : .refused }
        var blocks: [AddressBlock] = []
        for text in try strings(name) ?? [] {
            guard let block = AddressBlock(text) else {
                throw ConfigurationError(
                    path: "\(path).\(name)",
                    problem: "has \"\(text.quoted)\": expected addresses or blocks such as 10.20.0.0/16")
            }
            blocks.append(block)
        }
        return .only(blocks)
    }
}
