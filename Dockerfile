# syntax=docker/dockerfile:1

# Countersign as a small image: the binary with a static Swift runtime, and the four system libraries it links.
# docker build -t countersign:dev .

ARG SWIFT_VERSION=6.3
ARG DEBIAN=bookworm

FROM swift:${SWIFT_VERSION}-${DEBIAN} AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libssl-dev libcurl4-openssl-dev libyaml-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Dependencies first: this layer stays while only our sources change.
COPY Package.swift ./
COPY scripts/packages.pinned ./Package.resolved
RUN swift package resolve --force-resolved-versions
COPY scripts/release-flags ./scripts/release-flags
COPY Sources ./Sources
# Targets whose directories are missing are an error, and Package.swift names those of tests and benchmarks too.
COPY Tests ./Tests
COPY Benchmarks ./Benchmarks
RUN swift build $(scripts/release-flags) --product countersign \
    && install -m 0755 "$(swift build $(scripts/release-flags) --show-bin-path)/countersign" /countersign \
    && strip /countersign \
    && /countersign version

# The same Debian as the builder, so that libssl, libcurl and libyaml are the ones it was linked against.
FROM debian:${DEBIAN}-slim
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates libcurl4 libssl3 libyaml-0-2 \
    && rm -rf /var/lib/apt/lists/* /var/cache/debconf/* /var/log/apt /var/log/dpkg.log
COPY --from=build /countersign /countersign
LABEL org.opencontainers.image.title="Countersign" \
      org.opencontainers.image.description="Gatekeeper external-data provider that verifies Notary Project signatures" \
      org.opencontainers.image.licenses="Apache-2.0"
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 6001 8888 9099
ENTRYPOINT ["/countersign"]
CMD ["--help"]
