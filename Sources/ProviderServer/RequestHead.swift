import NIOHTTP1

/// What is kept of a request's head.
struct RequestHead {
    let isHead: Bool
    let isKeepAlive: Bool
    let isHTTP10: Bool
    let expectsContinue: Bool
    let length: Int?
    /// Why the request is not taken.
    let fault: RequestFault?

    init(_ head: HTTPRequestHead) {
        var hosts = 0
        // What follows a request to change the protocol is not read as HTTP, whatever the answer to it: there must be
        // no next request.
        var isUpgrade = head.method == .CONNECT
        var expectsContinue = false
        var length: Int?
        // One look at all fields: this is on the path of every request.
        for (name, value) in head.headers {
            switch name.utf8.count {
            case 4 where name.isField("host"): hosts += 1
            case 6 where name.isField("expect"): expectsContinue = value.lowercased() == "100-continue"
            case 7 where name.isField("upgrade"): isUpgrade = true
            case 14 where name.isField("content-length"): length = Int(value)
            default: break
            }
        }
        isHead = head.method == .HEAD
        isHTTP10 = head.version == .http1_0
        isKeepAlive = head.isKeepAlive && !isUpgrade
        self.expectsContinue = expectsContinue
        self.length = length
        // RFC 9112, section 3.2.
        fault =
            hosts == 1 || isHTTP10
            ? nil
            : RequestFault(
                .host,
                hosts == 0
                    ? "the request has no Host field: HTTP/1.1 asks for one"
                    : "the request has \(hosts) Host fields: HTTP/1.1 asks for one")
    }

    private init() {
        (isHead, isKeepAlive, isHTTP10, expectsContinue, length, fault) = (false, false, false, false, nil, nil)
    }

    /// What stands for the head of what is no request.
    static let none = RequestHead()
}

extension String {
    /// Whether it is the name of a field, which is given in lower case.
    fileprivate func isField(_ name: StaticString) -> Bool {
        name.withUTF8Buffer { name in utf8.elementsEqual(name) { $0 | 0x20 == $1 } }
    }
}
