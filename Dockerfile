FROM rust:1-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --profile dist --locked --bin hallpass
# All of the image: the program with the libraries that it is linked to, whom to trust when a mail server or a Redis shows its
# certificate, and an empty folder for its data.
RUN mkdir -p /image/usr/local/bin /image/data /image/tmp \
    && cp target/dist/hallpass /image/usr/local/bin/ \
    && cp --parents --dereference $(ldd target/dist/hallpass | grep --only-matching '/[^ ]*') /image/ \
    && cp --parents --dereference /etc/ssl/certs/ca-certificates.crt /image/ \
    && install -D LICENSE /image/usr/share/doc/hallpass/LICENSE \
    && chmod 1777 /image/tmp

# Neither a shell nor a package manager: nothing is in there that somebody who breaks in could use.
FROM scratch
COPY --from=build /image /
COPY --from=build --chown=65532:65532 /image/data /data
# A number, so that Kubernetes' runAsNonRoot can tell that it is not root.
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
