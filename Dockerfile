# The site's own image, and the edge's. docker-compose.yml runs both beside PostgreSQL and Valkey.

FROM node:24-slim AS frontend
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY frontend frontend
RUN npm run build

FROM python:3.13-slim AS site
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    DJANGO_SETTINGS_MODULE=videoproc.settings \
    VIDEOPROC_VAR=/srv/videoproc \
    HOME=/tmp
WORKDIR /app
COPY requirements.txt ./
RUN pip install --require-hashes -r requirements.txt
COPY problems problems
COPY telemetry telemetry
COPY engine engine
COPY users users
COPY videos videos
COPY jobs jobs
COPY videoproc videoproc
COPY templates templates
COPY static static
COPY manage.py ./
COPY --from=frontend /build/frontend/dist frontend/dist
# Python does not write byte code at run time: the file system is read-only there.
RUN python -m compileall -q problems telemetry engine users videos jobs videoproc \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin videoproc \
    && install -d -o 10001 -g 10001 -m 0755 /srv/videoproc /run/videoproc
USER 10001:10001

FROM caddy:2.11 AS edge
COPY deploy/Caddyfile /etc/caddy/Caddyfile
RUN mkdir -p /data /config && chown 10001:10001 /data /config
USER 10001:10001
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
