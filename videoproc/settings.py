"""Django's settings. Everything that differs between sites is read from the environment."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from videoproc import env

# Makes Django's classes generic at run time too, so that annotations need no special cases.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = env.folder("VIDEOPROC_VAR", BASE_DIR / "var")
MEDIA = env.folder("VIDEOPROC_MEDIA", VAR / "media")
PORT = env.integer("PORT", 8000, minimum=1, maximum=65535)
PUBLIC_URL = env.http_url("VIDEOPROC_PUBLIC_URL", f"http://127.0.0.1:{PORT}")
PUBLIC_HOST = urlsplit(PUBLIC_URL).hostname or ""
HTTPS = PUBLIC_URL.startswith("https:")

DEBUG = env.flag("VIDEOPROC_DEBUG")
SECRET_KEY = env.text("VIDEOPROC_SECRET_KEY")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "VIDEOPROC_SECRET_KEY is not set. `bin/up` makes one; elsewhere set it or VIDEOPROC_SECRET_KEY_FILE."
    )
ALLOWED_HOSTS = [PUBLIC_HOST, "127.0.0.1", "localhost", *env.names("VIDEOPROC_ALLOWED_HOSTS")]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
CSRF_FAILURE_VIEW = "videoproc.problem_responses.csrf_failure"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.usersessions",
    "channels",
    "csp",
    "django_celery_results",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "lucide",
    "rest_framework",
    "users",
    "videos",
    "jobs",
    "videoproc",
    "videoproc.legacy",
]

MIDDLEWARE = [
    "videoproc.request_ids.RequestIdMiddleware",
    "videoproc.request_watch.RequestWatchMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "users.session_activity.SessionActivityMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "videoproc.problem_responses.ProblemMiddleware",
    "videoproc.idempotency.IdempotencyMiddleware",
]

ROOT_URLCONF = "videoproc.urls"
ASGI_APPLICATION = "videoproc.asgi.application"

# Widgets of our own have their templates where all others are.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": ["lucide.templatetags.lucide"],
        },
    }
]

# --- PostgreSQL -------------------------------------------------------------------------------------
_postgres = env.postgres_url("DATABASE_URL") if env.text("DATABASE_URL") else {"NAME": "videoproc"}
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **{key: value for key, value in _postgres.items() if key.isupper()},
        # Under ASGI a persistent connection per thread would pile up; the pool bounds them instead.
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **{key: value for key, value in _postgres.items() if key.islower()},
            "connect_timeout": 2,
            "application_name": env.text("VIDEOPROC_PROCESS", "videoproc"),
            "pool": {
                # A worker that has been idle must not begin with a log-in while somebody waits for it.
                "min_size": int(env.text("VIDEOPROC_PROCESS").startswith("worker")),
                "max_size": env.integer("VIDEOPROC_DB_POOL", 20, minimum=1, maximum=500),
                "max_idle": 30,
                "timeout": 5,
            },
        },
        "TEST": {"TEMPLATE": "template0"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SLOW_QUERY_SECONDS = 1.0

# --- Redis or Valkey: wake-ups and live events only, never the truth ---------------------------------
REDIS = env.RedisAddress("REDIS_URL", "redis://127.0.0.1:6379/0")
CHANNEL_LAYERS = {
    "default": {
        # Not the layer with queues in Redis: that drops messages for everybody where one reader is slow.
        # Events are small and whole (`jobs.events`), and each socket has a bounded box
        # (`jobs.socket_outbox`).
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [
                {
                    "address": REDIS.for_redis(env.RedisAddress.CHANNELS),
                    # Otherwise a connect or a command to a Redis that vanished without a word waits for ever,
                    # and with it all events of the process.
                    "socket_connect_timeout": 5,
                    "socket_timeout": 30,
                    **({} if REDIS.is_socket else {"socket_keepalive": True}),
                    # A subscription that hangs half open is noticed; pages ask again every 30 s what they
                    # missed.
                    "health_check_interval": 25,
                }
            ],
            # Other programs on the same Redis have groups of their own.
            "prefix": "videoproc",
        },
    }
}
# Rate limits must hold while Redis is away, so they are counted in each web process.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- Accounts ---------------------------------------------------------------------------------------
AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    # Plain bcrypt refuses passwords over 72 bytes; this one hashes them down first.
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "users.passwords.MaximumLengthValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_ADAPTER = "users.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_USERNAME_MIN_LENGTH = 2
USERSESSIONS_TRACK_ACTIVITY = True
# The edge is the one proxy, and it replaces what clients send; behind a socket there is no other address.
ALLAUTH_TRUSTED_PROXY_COUNT = 1
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
if _smtp := env.text("VIDEOPROC_SMTP_HOST"):
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST = _smtp
    EMAIL_PORT = env.integer("VIDEOPROC_SMTP_PORT", 587, minimum=1, maximum=65535)
    EMAIL_HOST_USER = env.text("VIDEOPROC_SMTP_USER")
    EMAIL_HOST_PASSWORD = env.text("VIDEOPROC_SMTP_PASSWORD")
    EMAIL_USE_TLS = env.flag("VIDEOPROC_SMTP_TLS", default=True)
DEFAULT_FROM_EMAIL = env.text("VIDEOPROC_EMAIL_FROM", f"videoproc@{PUBLIC_HOST}")
SESSION_COOKIE_AGE = int(timedelta(days=7).total_seconds())
SESSION_COOKIE_NAME = "videoproc_session"
CSRF_COOKIE_NAME = "videoproc_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
REST_KNOX = {
    "TOKEN_MODEL": "users.ApiToken",
    "TOKEN_TTL": timedelta(days=90),
    "TOKEN_PREFIX": "vp_",
    "AUTH_HEADER_PREFIX": "Bearer",
}
# Its own table is replaced by ours; its migrations would make it all the same, and break `flush`.
MIGRATION_MODULES = {"knox": None}
KNOX_TOKEN_MODEL = "users.ApiToken"  # noqa: S105 - a model's name
# Knox's own migrations make a table for its own model even where another one takes its place; nobody would
# use it, and its foreign key stands in the way of flushing a test database.
MIGRATION_MODULES = {"knox": None}

# --- API --------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "users.authentication.TokenAuthentication",
        "users.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "users.authentication.TokenScopePermission",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["videoproc.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "videoproc.pagination.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_RATES": {"login": "20/min", "register": "60/hour"},
    "NUM_PROXIES": 1,
    "EXCEPTION_HANDLER": "videoproc.problem_responses.api_exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Videoproc API",
    "DESCRIPTION": "Upload videos, ask for operations on them, follow the jobs and fetch the results.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "videoproc.idempotency.document_keys",
    ],
    "ENUM_NAME_OVERRIDES": {
        "VideoStatusEnum": "videos.models.Video.Status",
        "OperationStatusEnum": "videos.models.Operation.Status",
        "JobStatusEnum": "jobs.models.Job.Status",
    },
}
# Bodies that Django itself reads are small: JSON and forms. Files go to the uploads process.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024**2

# --- Browser safety ---------------------------------------------------------------------------------
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  # the edge overwrites what clients send
SECURE_SSL_REDIRECT = False  # the edge redirects
SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds()) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "security.W008",  # the edge redirects to https
    "security.W021",  # being on browsers' preload lists is a decision about the whole domain
]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "media-src": [SELF, "blob:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "worker-src": [SELF, "blob:"],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# --- Static files -----------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
STATICFILES_DIRS = [BASE_DIR / "static", BASE_DIR / "frontend" / "dist"]
STORAGES: dict[str, dict[str, object]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_MANIFEST_STRICT = True

# --- Media in a bucket, see docs/storage.md ---------------------------------------------------------
S3_BUCKET = env.text("VIDEOPROC_S3_BUCKET")
S3_PREFIX = env.text("VIDEOPROC_S3_PREFIX")
S3_ENDPOINT = env.http_url("VIDEOPROC_S3_ENDPOINT", "https://s3.amazonaws.com")
if S3_BUCKET:
    # Its library takes a fifth of a second and 30 MB: not in processes of sites without a bucket.
    from videoproc.s3 import S3_CLIENT

    STORAGES["bucket"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": S3_BUCKET,
            "endpoint_url": S3_ENDPOINT,
            "region_name": env.text("VIDEOPROC_S3_REGION") or "us-east-1",
            "access_key": env.text("VIDEOPROC_S3_ACCESS_KEY") or None,
            "secret_key": env.text("VIDEOPROC_S3_SECRET_KEY") or None,
            "client_config": S3_CLIENT,
        },
    }
# With a bucket the media folder is a cache of it, cut down to this by the hourly clean-up.
MEDIA_CACHE_BYTES = env.integer("VIDEOPROC_MEDIA_CACHE_GB", 50, minimum=0, maximum=10**6) * 1024**3

# --- Work -------------------------------------------------------------------------------------------
WORKER_CONCURRENCY = env.integer("WORKER_CONCURRENCY", 5, minimum=1, maximum=256)
SHORT_WORKER_CONCURRENCY = env.integer("SHORT_WORKER_CONCURRENCY", 2, minimum=1, maximum=64)
# About how long a segment of a divided encode is; 0 lets the cost model choose, and not divide.
SEGMENT_SECONDS = env.integer("VIDEOPROC_SEGMENT_SECONDS", 0, minimum=0, maximum=3600)
UPLOAD_LIFETIME = timedelta(days=7)
# Below this much free space nothing new is taken in, and no step starts.
DISK_RESERVE_BYTES = env.integer("VIDEOPROC_DISK_RESERVE_MB", 512, minimum=0, maximum=10**9) * 1024**2
# A paused job keeps its worker, and what it has done, for so long; then another job may have the place.
PAUSE_KEEPS_WORKER_SECONDS = 60 * env.integer("VIDEOPROC_PAUSE_MINUTES", 60, minimum=0, maximum=10**5)
# Requests to addresses that users name (webhooks, imports) go to these ports of the internet, and to the
# host:port that the administrator vouches for, by plain http too and in the own network.
OUTBOUND_PORTS = [443, 8443, *env.ports("VIDEOPROC_OUTBOUND_PORTS")]
OUTBOUND_TRUSTED = env.destinations("VIDEOPROC_OUTBOUND_TRUSTED")
SAMPLE_CLIP = MEDIA / "samples" / "clip.mp4"

# --- Language and time ------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

# --- Monitoring, see docs/monitoring.md ---------------------------------------------------------------
# Without a token only staff who are signed in may read /metrics.
METRICS_TOKEN = env.secret("VIDEOPROC_METRICS_TOKEN", minimum=16)
PROCESS = env.text("VIDEOPROC_PROCESS", "videoproc")
LOG_FORMAT = env.choice("VIDEOPROC_LOG_FORMAT", "text", {"text", "json"})
# Wherever they come from, these never reach a log line.
_secrets = [
    SECRET_KEY,
    METRICS_TOKEN,
    str(DATABASES["default"].get("PASSWORD", "")),
    REDIS.password,
    env.text("VIDEOPROC_SMTP_PASSWORD"),
    env.text("VIDEOPROC_S3_SECRET_KEY"),
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "videoproc.logs.TextFormatter", "secrets": _secrets},
        "json": {"()": "videoproc.logs.JsonFormatter", "secrets": _secrets, "process": PROCESS},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": env.text("VIDEOPROC_LOG_LEVEL", "INFO").upper()},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # These bring handlers of their own, whose lines would be in another form.
        "uvicorn": {"handlers": [], "level": "INFO", "propagate": True},
        # Whole addresses, with what is in their queries. Ours are in `videoproc.request_watch`.
        "uvicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
    },
}
