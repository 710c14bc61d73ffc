"""An OpenID provider written by others (django-oauth-toolkit on Django) with its own pages, as a program for
tests: not imported by anything.

Settings are one JSON object on standard input: `port`, `folder` for its database, `clients`, and `people`
with their claims. Beside its own addresses, `POST /tests/…` does what an administrator would: `rotate`
replaces the signing key, `forget?name=` removes somebody's tokens, `delete?name=` removes somebody,
`aged?name=&seconds=` puts the last sign-in that long into the past. `GET /tests/requests` says what was
asked.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

import django
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings

GIVEN = json.load(sys.stdin)
ISSUER = f"http://localhost:{GIVEN['port']}/o"
SIGN_IN = (
    '<form method="post">{% csrf_token %}{{ form }}<input type="hidden" name="next" value="{{ next '
    '}}"><button>Sign in</button></form>{{ form.errors }}'
)
requests = []


def fresh_key():
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def toolkit(key):
    return {
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": key,
        "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
        "OAUTH2_VALIDATOR_CLASS": "__main__.Claims",
        "SCOPES": {"openid": "Who you are", "profile": "Your name", "email": "Your address"},
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
    }


settings.configure(
    SECRET_KEY="signs what is only for tests",
    ALLOWED_HOSTS=["localhost"],
    ROOT_URLCONF="__main__",
    USE_TZ=True,
    LOGIN_URL="/sign-in/",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "__main__.remembering",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    ("django.template.loaders.locmem.Loader", {"registration/login.html": SIGN_IN}),
                    "django.template.loaders.app_directories.Loader",
                ],
            },
        }
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(GIVEN["folder"]) / "django.db"),
            "OPTIONS": {"timeout": 20, "init_command": "PRAGMA synchronous=OFF"},
        }
    },
    # Tables are made as they are to be, not as they have become over fifty changes.
    MIGRATION_MODULES=dict.fromkeys(["auth", "contenttypes", "sessions", "oauth2_provider"]),
    # Passwords and client secrets of tests need not resist anybody, and its own way takes half a second of a
    # core for each.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    OAUTH2_PROVIDER=toolkit(fresh_key()),
)
django.setup()

# The rest of Django can be imported once it has its settings.
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.views import LoginView  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.servers.basehttp import run  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from oauth2_provider.models import AccessToken, Application, RefreshToken  # noqa: E402
from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: E402
from oauth2_provider.settings import oauth2_settings  # noqa: E402


class Claims(OAuth2Validator):
    """Everything about the person is in ID token and userinfo alike, as the documentation of the toolkit does
    it."""

    oidc_claim_scope = None

    def get_additional_claims(self, request):
        return GIVEN["people"][request.user.username]


def remembering(get_response):
    def remembers(request):
        if request.path.startswith("/o/"):
            requests.append(
                {
                    "method": request.method,
                    "path": request.path,
                    "authorization": request.headers.get("Authorization", "").split(" ")[0],
                }
            )
        return get_response(request)

    return remembers


@csrf_exempt
def told(request, what):
    person = User.objects.filter(username=request.GET.get("name", ""))
    if what == "rotate":
        settings.OAUTH2_PROVIDER = toolkit(fresh_key())
        oauth2_settings.reload()
    elif what == "forget":
        RefreshToken.objects.filter(user__in=person).delete()
        AccessToken.objects.filter(user__in=person).delete()
    elif what == "delete":
        person.delete()
    elif what == "aged":
        person.update(last_login=timezone.now() - timedelta(seconds=int(request.GET["seconds"])))
    elif what == "requests":
        return JsonResponse(requests, safe=False)
    else:
        return HttpResponse(status=404)
    return HttpResponse(status=204)


urlpatterns = [
    path("o/", include("oauth2_provider.urls")),
    path("sign-in/", LoginView.as_view()),
    path("tests/<str:what>", told),
]

call_command("migrate", run_syncdb=True, verbosity=0)
for name in GIVEN["people"]:
    User.objects.create_user(name, password=GIVEN["password"])
for client in GIVEN["clients"]:
    Application.objects.create(
        client_type="confidential",
        authorization_grant_type="authorization-code",
        **{"algorithm": "RS256", **client},
    )
run("127.0.0.1", GIVEN["port"], get_wsgi_application(), threading=True)
