import Encoding
import FoundationEssentials
import PKI

/// The report as one HTML page that needs nothing else: no script, no font, no image, nothing that a mail filter or an
/// auditor's browser would have to fetch.
package struct AuditPage: Sendable {
    private let report: AuditReport

    /// A page of a report.
    package init(_ report: AuditReport) { self.report = report }

    /// The page.
    package var html: String {
        let denied = report.images(.denied)
        let undetermined = report.images(.undetermined)
        let admitted = report.images(.admitted)
        var page = """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
            <title>Image audit: \(Self.escaped(report.source))</title>
            <style>\(Self.style)</style>
            </head>
            <body>
            <header>
            <h1>Image audit</h1>
            <p>\(Self.escaped(report.source)), judged by \(Self.escaped(report.configuration)), \
            <time>\(UTC.text(report.moment))</time></p>
            </header>
            <main>
            <ul class="sums">
            \(sum(denied.count, "would be denied", "denied"))
            \(sum(undetermined.count, "could not be determined", "undetermined"))
            \(sum(admitted.count, "would be admitted", "admitted"))
            \(sum(report.deniedWorkloads, "workloads affected", "workloads"))
            </ul>

            """
        page += list("Admitted all the same", report.warnings)
        page += list("Not looked at", report.gaps)
        page += section("Would be denied", denied)
        page += section("Could not be determined", undetermined)
        page += section("Would be admitted", admitted)
        page += certificates
        return page + "</main>\n</body>\n</html>\n"
    }

    private func sum(_ count: Int, _ text: String, _ name: String) -> String {
        "<li class=\"\(name)\(count == 0 ? " none" : "")\"><strong>\(count)</strong> \(text)</li>"
    }

    private func list(_ title: String, _ lines: [String]) -> String {
        guard !lines.isEmpty else { return "" }
        let items = lines.map { "<li>\(Self.escaped($0))</li>" }.joined()
        return "<section><h2>\(title)</h2><ul class=\"gaps\">\(items)</ul></section>\n"
    }

    private func section(_ title: String, _ images: [AuditedImage]) -> String {
        guard !images.isEmpty else { return "" }
        var text = """
            <section><h2>\(title)</h2>
            <table><thead><tr><th scope="col">Image</th><th scope="col">Why</th><th scope="col">Used by</th>\
            <th scope="col">Owner</th></tr></thead><tbody>

            """
        for image in images { text += row(image) }
        return text + "</tbody></table></section>\n"
    }

    private func row(_ audited: AuditedImage) -> String {
        var why = Self.escaped(audited.reason ?? audited.signer.map { "signed by \($0)" } ?? "")
        if let remedy = audited.remedy { why += "<p class=\"remedy\">\(Self.escaped(remedy))</p>" }
        if audited.hasMoved {
            why += "<p class=\"remedy\">What runs has another digest than this name has now</p>"
        }
        let digest = audited.digest.map { "<br><code>\(Self.escaped($0.description))</code>" } ?? ""
        let uses = audited.image.uses.map { "<li>\(Self.escaped($0.description))</li>" }.joined()
        let owners = Set(audited.image.uses.compactMap(\.owner)).sorted().map(Self.escaped).joined(separator: ", ")
        return """
            <tr class="\(audited.verdict.rawValue)"><td><strong>\(Self.escaped(audited.image.reference))</strong>\(digest)</td>\
            <td>\(why)</td><td><ul>\(uses)</ul></td><td>\(owners)</td></tr>

            """
    }

    private var certificates: String {
        guard !report.expiries.isEmpty else { return "" }
        var text = """
            <section><h2>Trusted certificates, the next to expire first</h2>
            <table><thead><tr><th scope="col">Subject</th><th scope="col">From</th><th scope="col">Expires</th>\
            <th scope="col">Days left</th></tr></thead><tbody>

            """
        for expiry in report.expiries {
            let days = expiry.days(from: report.moment)
            text += """
                <tr class="\(days < 0 ? "denied" : days < 30 ? "undetermined" : "admitted")">\
                <td>\(Self.escaped(expiry.subject))</td><td>\(Self.escaped(expiry.provider))</td>\
                <td>\(UTC.text(expiry.notAfter))</td><td class="number">\(days)</td></tr>

                """
        }
        return text + "</tbody></table></section>\n"
    }

    /// Text of strangers in HTML: image names, certificate subjects and answers of registries.
    static func escaped(_ text: String) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            // Controls and marks of direction would let a name show as another one.
            case _ where scalar.isControlOrDirection: result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static let style = """
        :root{color-scheme:light dark;--line:#8884;--bad:#c62828;--doubt:#b26a00;--good:#2e7d32}
        body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}
        h1{margin:0}h2{margin:2rem 0 .5rem}
        .sums{display:flex;flex-wrap:wrap;gap:1rem;list-style:none;padding:0}
        .sums li{border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1.25rem;border-top:.3rem solid var(--line)}
        .sums strong{display:block;font-size:2rem;line-height:1.1}
        .sums .denied,.sums .workloads{border-top-color:var(--bad)}.sums .undetermined{border-top-color:var(--doubt)}
        .sums .admitted{border-top-color:var(--good)}.sums .none{border-top-color:var(--line)}
        table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.5rem}
        th{border-bottom:2px solid var(--line)}td{border-bottom:1px solid var(--line);overflow-wrap:anywhere}
        td ul{margin:0;padding:0;list-style:none}.number{text-align:right}
        tr.denied td:first-child{border-left:.3rem solid var(--bad)}
        tr.undetermined td:first-child{border-left:.3rem solid var(--doubt)}
        tr.admitted td:first-child{border-left:.3rem solid var(--good)}
        code{font-size:.8rem}.remedy{margin:.25rem 0 0;font-style:italic}.gaps{color:var(--doubt)}
        @media(prefers-color-scheme:dark){:root{--bad:#ef6c6c;--doubt:#ffb74d;--good:#81c784}}
        """
}
