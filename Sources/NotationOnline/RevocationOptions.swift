import FoundationEssentials
import IPAddresses
import Notation

/// The limits of a revocation check.
public struct RevocationOptions: Hashable, Sendable {
    /// How long an OCSP responder may take ("wait for a default threshold of 2 seconds").
    public var ocspTimeout: Duration
    /// How long the download of a certificate revocation list may take ("the default threshold of 5 seconds").
    public var crlTimeout: Duration
    /// How large an OCSP response may be.
    public var maximumOCSPBytes: Int
    /// How large a certificate revocation list may be.
    public var maximumCRLBytes: Int
    /// How many URLs of each kind a certificate may name: more are a fault, since all of them would be asked.
    public var maximumURLs: Int
    /// How far the clock of whoever signs an answer or a list may be ahead of this one's.
    public var clockSkew: TimeInterval
    /// How long an answer or a list is used before its source is asked again, whatever its own `nextUpdate` says: until
    /// then it hides a revocation.
    public var maximumAge: TimeInterval
    /// On whose behalf it is asked. What tenants learn of revocation is kept apart.
    public var tenant = ""
    /// Whether the URLs of certificates are asked at private addresses. Whoever pushes a signature chooses its chain,
    /// but only a chain that is trusted gets as far as this check.
    public var privateAddresses = PrivateAddresses.allowed

    /// Limits; those of the specification and the reference verifier unless told otherwise.
    public init(
        ocspTimeout: Duration = .seconds(2), crlTimeout: Duration = .seconds(5), maximumOCSPBytes: Int = 20_480,
        maximumCRLBytes: Int = 32 << 20, maximumURLs: Int = 16,
        clockSkew: TimeInterval = SignatureVerifier.clockSkew, maximumAge: TimeInterval = 86_400
    ) {
        self.ocspTimeout = ocspTimeout
        self.crlTimeout = crlTimeout
        self.maximumOCSPBytes = maximumOCSPBytes
        self.maximumCRLBytes = maximumCRLBytes
        self.maximumURLs = maximumURLs
        self.clockSkew = clockSkew
        self.maximumAge = maximumAge
    }
}
