import Quotation

/// What the argument parser says, which repeats what was typed, at any length and as it is.
enum ParserWords {
    /// In place of a message that would show what must not be shown.
    private static let withheld =
        "countersign: an argument cannot be understood, and is not shown, since it may be key material or a password: keys and "
        + "certificates are given as paths of files; see 'countersign --help'"
    /// In place of the value of an option for a password, mistyped or not.
    private static let secret = "(not shown: it may be a password)"

    /// The parser's words with everything that was typed quoted as messages quote what others wrote, and without
    /// passwords.
    ///
    /// - Parameters:
    ///   - arguments: what was typed.
    ///   - translated: what the parser was given for it.
    static func shown(_ words: String, typed arguments: [String], translated: [String]) -> String {
        var words = words
        let typed = quotations(of: arguments).merging(quotations(of: translated)) { $0 == secret ? $0 : $1 }
        // The longest first: others may be in it.
        for (text, shown) in typed.sorted(by: { $0.key.utf8.count > $1.key.utf8.count }) where text != shown {
            words = words.replacing("'\(text)'", with: "'\(shown)'")
        }
        // Where the parser writes it in another way than between quotation marks, and it is no word of its own help.
        let isLeft = typed.contains { text, shown in
            text != shown && text.utf8.count > 2 && (text.utf8.count > Quotation.maximumCharacters || shown == secret)
                && words.contains(text)
        }
        let isKey = arguments.contains { Quotation.mayHoldKey($0) } && Quotation.mayHoldKey(words)
        return isLeft || isKey ? withheld : words
    }

    /// Arguments and values of options as messages may show them.
    private static func quotations(of arguments: [String]) -> [String: String] {
        var result: [String: String] = [:]
        var isSecret = false
        for argument in arguments {
            if isSecret || result[argument] == nil { result[argument] = isSecret ? secret : argument.quoted }
            isSecret = false
            guard argument.hasPrefix("-") else { continue }
            let name = argument.prefix { $0 != "=" }
            if name.count < argument.count {
                let value = String(argument.dropFirst(name.count + 1))
                if isOfPassword(name) {
                    result[value] = secret
                    result[argument] = "\(name.quoted)=\(secret)"
                } else if result[value] == nil {
                    result[value] = value.quoted
                }
            } else if isOfPassword(name) {
                isSecret = true
            } else if argument.hasPrefix("-p") {
                // `-pPASSWORD`
                result[argument] = "-p\(secret)"
            }
        }
        return result
    }

    /// Options of ours that sound like some for passwords.
    private static let options: Set = ["--token-realm", "--ca-cert-secret"]

    /// Whether an option's value is a password or a token, if only its name had been typed right.
    private static func isOfPassword(_ name: Substring) -> Bool {
        guard name != "-p" else { return true }
        guard name.hasPrefix("--"), !options.contains(String(name)) else { return false }
        let name = name.lowercased()
        return ["pas", "pwd", "secret", "token", "credential"].contains(where: name.contains)
    }
}
