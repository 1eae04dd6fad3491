FROM rust:1-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin hallpass && mkdir /data

FROM debian:bookworm-slim
COPY --from=build /build/target/release/hallpass /usr/local/bin/hallpass
# Whom to trust when a mail server shows its certificate.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY LICENSE /usr/share/doc/hallpass/LICENSE
# A number, so that Kubernetes' runAsNonRoot can tell that it is not root.
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV HALLPASS_LISTEN=0.0.0.0:8080 \
    HALLPASS_DATA_DIR=/data
VOLUME /data
EXPOSE 8080
# The program asks itself: no curl has to be in the image.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/hallpass", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/hallpass"]
CMD ["serve"]
