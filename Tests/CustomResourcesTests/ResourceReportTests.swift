import Foundation
import KeyManagement
import StrictJSON
import TestSupport
import Testing

@testable import CustomResources

/// The status of resources.
@Suite struct ResourceReportTests {
    private func provider() throws -> ResourceReport {
        let provider = try InlineCertificates(
            name: "ca", contentType: "certificate", value: try Samples.authority.get().certificate.pem,
            now: Date(timeIntervalSince1970: 1_800_000_000))
        return ResourceReport(error: nil, provider: provider.status)
    }

    @Test func successHasNoError() {
        #expect(
            ResourceReport(error: nil).patch(over: [:]) == ["issuccess": true, "error": .null, "brieferror": .null])
    }

    @Test func errorsAreCutForATable() {
        let status = ResourceReport(error: String(repeating: "e", count: 500)).patch(over: [:])
        #expect(status["error"]?.string?.count == 500)
        #expect(status["brieferror"]?.string?.count == 100)
        #expect(status["brieferror"]?.string?.hasSuffix("e...") == true)
        #expect(ResourceReport(error: "short").patch(over: [:])["brieferror"] == "short")
    }

    @Test func certificatesAreListed() throws {
        let status = try provider().patch(over: ["properties": ["Stale": ["a"]]])
        #expect(status["lastfetchedtime"] == "2027-01-15T08:00:00Z")
        let entry = try #require(status["properties"]?["Certificates"]?.array?.first)
        #expect(entry["Enabled"] == "true" && entry["State"] == "in force")
        #expect(entry["Subject"]?.string?.contains("CN=root") == true)
        #expect(entry["LastRefreshed"] == "2027-01-15T08:00:00Z" && entry["NotAfter"] != nil)
        #expect(status["properties"]?["Stale"] == .null, "a merge patch removes only what it names")
    }

    /// Times change with every look at the source, in every replica: alone they are no reason to write.
    @Test func timesAreNoDifference() throws {
        let report = try provider()
        var stored = report.patch(over: [:])
        #expect(ResourceReport.Content(status: stored, hasProperties: true) == report.content)
        stored["lastfetchedtime"] = "2027-01-15T07:58:00Z"
        #expect(!report.isTimeOutdated(in: stored, by: 300))
        stored["lastfetchedtime"] = "2027-01-15T07:50:00Z"
        #expect(report.isTimeOutdated(in: stored, by: 300))
        stored["lastfetchedtime"] = "2027-01-15T09:00:00Z"
        #expect(!report.isTimeOutdated(in: stored, by: 300), "another replica was there later")
        stored["issuccess"] = false
        #expect(ResourceReport.Content(status: stored, hasProperties: true) != report.content)
        #expect(ResourceReport.Content(status: [:], hasProperties: true) != report.content)
    }

    @Test func aTrustedRootIsDescribed() throws {
        var root = ProviderStatus.notRead
        root.lastFetched = Date(timeIntervalSince1970: 1_800_000_000)
        root.trustedRoot = ProviderStatus.TrustedRootProperties(
            source: "https://tuf.example.com", fingerprint: "00ff", versions: ["timestamp": 7, "root": 2],
            validUntil: Date(timeIntervalSince1970: 1_800_600_000), transparencyLogs: 2, certificateAuthorities: 1,
            certificateLogs: 3, timestampAuthorities: 0)
        let report = ResourceReport(error: nil, provider: root)
        let entry = try #require(report.patch(over: [:])["properties"]?["TrustedRoot"]?.array?.first)
        #expect(entry["Source"] == "https://tuf.example.com" && entry["SHA256"] == "00ff")
        #expect(entry["Versions"] == "root 2, timestamp 7" && entry["ValidUntil"] == "2027-01-22T06:40:00Z")
        #expect(entry["CertificateLogs"] == "3" && entry["TimestampAuthorities"] == "0")
        // Another look that finds the same is no difference.
        let stored = report.patch(over: [:])
        root.lastFetched = Date(timeIntervalSince1970: 1_800_000_100)
        let later = ResourceReport(error: nil, provider: root)
        #expect(ResourceReport.Content(status: stored, hasProperties: true) == later.content)
        // One that was taken away is gone.
        root.trustedRoot = nil
        #expect(ResourceReport(error: "x", provider: root).patch(over: stored)["properties"]?["TrustedRoot"] == .null)
    }
}
