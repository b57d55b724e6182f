import Foundation
import OCI
import StrictJSON

/// The endpoints of the distribution specification 1.1 that a verifier and a signer need ("Endpoints", end-1 to
/// end-7 and end-12).
extension FaultyRegistry {
    func respond(to request: EmulatorRequest, _ state: inout State) -> EmulatorAnswer {
        if request.path == "/token" { return issueToken(request, &state) }
        guard request.path == "/v2/" || request.path.hasPrefix("/v2/") else { return .error(404, "NOT_FOUND") }
        let segments = request.path.split(separator: "/").dropFirst().map(String.init)
        // /v2/<name, several segments>/<kind>/<reference>, uploads one deeper.
        let isUpload = segments.count >= 3 && segments.dropLast(segments.last == "uploads" ? 0 : 1).last == "uploads"
        let kindIndex = isUpload ? segments.lastIndex(of: "blobs") : segments.count - 2
        let repository = kindIndex.map { segments.prefix(max(0, $0)).joined(separator: "/") } ?? ""
        if let refusal = authorize(request, repository: repository, state) { return refusal }
        if segments.isEmpty { return EmulatorAnswer(status: 200, body: Array("{}".utf8)) }
        guard let kindIndex, kindIndex > 0, let reference = segments.last else { return .error(404, "NAME_UNKNOWN") }
        if isUpload { return upload(request, repository, session: reference, &state) }
        switch (segments[kindIndex], request.method) {
        case ("manifests", "GET"), ("manifests", "HEAD"): return manifest(reference, repository, state)
        case ("manifests", "PUT"): return storeManifest(request, reference, repository, &state)
        case ("blobs", "GET"), ("blobs", "HEAD"): return blob(reference, repository, state)
        case ("referrers", "GET"): return referrers(request, of: reference, repository, state)
        default: return .error(405, "UNSUPPORTED")
        }
    }

    private func manifest(_ reference: String, _ repository: String, _ state: State) -> EmulatorAnswer {
        guard let manifest = state.contents.manifest(reference, in: repository) else {
            return .error(404, "MANIFEST_UNKNOWN")
        }
        return EmulatorAnswer(
            status: 200,
            headers: [
                ("Content-Type", manifest.mediaType), ("Docker-Content-Digest", manifest.digest.description),
                ("Content-Length", String(manifest.content.count)),
            ], body: manifest.content)
    }

    private func blob(_ digest: String, _ repository: String, _ state: State) -> EmulatorAnswer {
        guard let content = state.contents.repositories[repository]?.blobs[digest] else {
            return .error(404, "BLOB_UNKNOWN")
        }
        return EmulatorAnswer(
            status: 200,
            headers: [
                ("Content-Type", "application/octet-stream"), ("Docker-Content-Digest", digest),
                ("Content-Length", String(content.count)),
            ], body: content)
    }

    private func storeManifest(
        _ request: EmulatorRequest, _ reference: String, _ repository: String, _ state: inout State
    ) -> EmulatorAnswer {
        guard (try? StrictJSON.parse(request.body)) != nil else { return .error(400, "MANIFEST_INVALID") }
        var tag: String? = reference
        if reference.contains(":") {
            guard let digest = try? Digest(parsing: reference), digest.matches(request.body) else {
                return .error(400, "DIGEST_INVALID")
            }
            tag = nil
        }
        let stored = state.contents.store(
            manifest: request.body, mediaType: request.header("Content-Type") ?? MediaType.ociManifest, tag: tag,
            in: repository)
        var headers = [
            (name: "Location", value: "/v2/\(repository)/manifests/\(stored.digest)"),
            (name: "Docker-Content-Digest", value: stored.digest.description),
        ]
        // "Pushing Manifests with Subject": the header tells that the registry keeps the list of referrers itself.
        if options.referrersAPI, let subject = stored.subject { headers.append(("OCI-Subject", subject)) }
        return EmulatorAnswer(status: 201, headers: headers)
    }

    private func upload(
        _ request: EmulatorRequest, _ repository: String, session: String, _ state: inout State
    ) -> EmulatorAnswer {
        func finish(_ content: [UInt8]) -> EmulatorAnswer {
            guard let digest = request.query["digest"].flatMap({ try? Digest(parsing: $0) }), digest.matches(content)
            else { return .error(400, "DIGEST_INVALID") }
            state.contents.repositories[repository, default: .init()].blobs[digest.description] = content
            return EmulatorAnswer(
                status: 201,
                headers: [
                    ("Location", "/v2/\(repository)/blobs/\(digest)"), ("Docker-Content-Digest", digest.description),
                ])
        }
        if request.method == "POST" {
            if request.query["digest"] != nil { return finish(request.body) }
            state.counter += 1
            let name = "session-\(state.counter)"
            state.contents.repositories[repository, default: .init()].uploads[name] = []
            // A query of the registry's own must survive when the client adds the digest.
            return EmulatorAnswer(
                status: 202, headers: [("Location", "/v2/\(repository)/blobs/uploads/\(name)?state=kept")])
        }
        guard let begun = state.contents.repositories[repository]?.uploads[session], request.query["state"] == "kept"
        else { return .error(404, "BLOB_UPLOAD_UNKNOWN") }
        let content = begun + request.body
        switch request.method {
        case "PATCH":
            state.contents.repositories[repository]?.uploads[session] = content
            return EmulatorAnswer(
                status: 202,
                headers: [
                    ("Location", "/v2/\(repository)/blobs/uploads/\(session)?state=kept"),
                    ("Range", "0-\(max(0, content.count - 1))"),
                ])
        case "PUT":
            let answer = finish(content)
            if answer.status == 201 { state.contents.repositories[repository]?.uploads[session] = nil }
            return answer
        default: return .error(405, "UNSUPPORTED")
        }
    }

    private func referrers(
        _ request: EmulatorRequest, of digest: String, _ repository: String, _ state: State
    ) -> EmulatorAnswer {
        guard options.referrersAPI else { return .error(404, "NOT_FOUND") }
        guard (try? Digest(parsing: digest)) != nil else { return .error(400, "DIGEST_INVALID") }
        let artifactType = request.query["artifactType"]
        let filter = options.filtersReferrers ? artifactType : nil
        let all = state.contents.referrers(of: digest, in: repository, artifactType: filter)
        let start = min(request.query["after"].flatMap { Int($0) } ?? 0, all.count)
        let end = min(start + (options.referrersPageSize ?? all.count), all.count)
        let index: JSONValue = [
            "schemaVersion": 2, "mediaType": .string(MediaType.ociIndex), "manifests": .array(Array(all[start..<end])),
        ]
        var headers = [(name: "Content-Type", value: MediaType.ociIndex)]
        if filter != nil { headers.append(("OCI-Filters-Applied", "artifactType")) }
        if end < all.count {
            var target = "/v2/\(repository)/referrers/\(digest)?after=\(end)"
            if let artifactType {
                let allowed = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-._~"))
                target += "&artifactType=" + (artifactType.addingPercentEncoding(withAllowedCharacters: allowed) ?? "")
            }
            headers.append(("Link", "<\(options.absoluteLinks ? url : "")\(target)>; rel=\"next\""))
        }
        return EmulatorAnswer(status: 200, headers: headers, body: index.bytes)
    }
}
