# docker build -t phx . && docker run --rm --shm-size=256m phx
FROM debian:12-slim
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends gcc libc6-dev make python3 python3-dev python3-venv ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home phx
WORKDIR /home/phx/phx
COPY --chown=phx . .
USER phx
RUN make build
STOPSIGNAL SIGTERM
CMD ["make", "run"]
