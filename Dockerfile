# gripd's image, a drop-in for Pushpin's: the same ports, the same variable `target`, the same
# folder /etc/pushpin (or /etc/gripd) with pushpin.conf, gripd.toml or nothing but `routes` in it.
# `gripd image` is its entry script: nothing is written, so it runs as any user, on a read-only
# file system, with every capability dropped.

FROM rust:1.95-slim-trixie AS build
WORKDIR /build
# jemalloc's build needs it.
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
COPY . .
# The caches keep what was downloaded and compiled from one build to the next.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked && cp target/release/gripd /gripd

FROM debian:trixie-slim
LABEL org.opencontainers.image.title="gripd" \
      org.opencontainers.image.description="A push proxy (GRIP) in front of any web backend" \
      org.opencontainers.image.licenses="Apache-2.0"
# Who may speak for the name of a TLS backend; a mount in its place, or proxy.ca_file, adds others.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /gripd /usr/local/bin/gripd
# By these names it is Pushpin's programs: for scripts, and for `docker exec`.
RUN ln -s gripd /usr/local/bin/pushpin && ln -s gripd /usr/local/bin/pushpin-publish
USER 1001:1001
# Clients, and the control port. ZeroMQ's ports 5560, 5562 and 5563 have nobody behind them.
EXPOSE 7999 5561
STOPSIGNAL SIGTERM
# Asks the control port that the container's environment, folder and command name.
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/gripd", "image", "health", "--ready"]
ENTRYPOINT ["/usr/local/bin/gripd", "image"]
CMD ["gripd"]
