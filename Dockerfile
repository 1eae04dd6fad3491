FROM rust:1-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin hallpass && mkdir /data

# No shell, no package manager: what is not there needs no updates and helps no intruder.
FROM gcr.io/distroless/cc-debian12
COPY --from=build /build/target/release/hallpass /usr/local/bin/hallpass
COPY LICENSE /usr/share/doc/hallpass/LICENSE
# A number, so that Kubernetes' runAsNonRoot can tell that it is not root.
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV HALLPASS_LISTEN=0.0.0.0:8080 \
    HALLPASS_DATA_DIR=/data
VOLUME /data
EXPOSE 8080
# The exec form: there is no shell to run the other.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/hallpass", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/hallpass"]
CMD ["serve"]
