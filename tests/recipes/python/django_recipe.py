import os
from urllib.parse import parse_qsl, urlsplit

import django
from django.conf import settings
from django.urls import path

url = urlsplit(os.environ["DATABASE_URL"])
options = dict(parse_qsl(url.query))
settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": options["host"],
            "PORT": options["port"],
            "NAME": url.path.lstrip("/"),
            "USER": options["user"],
            "DISABLE_SERVER_SIDE_CURSORS": True,
        }
    },
    LOGGING_CONFIG=None,
    MIDDLEWARE=["__main__.Tenant", "recipe.audit_context"],
    ROOT_URLCONF="__main__",
)
django.setup()

import recipe  # noqa: E402
import requests  # noqa: E402
from django.test import Client  # noqa: E402


class User:
    def __init__(self, name):
        self.name = name

    def get_username(self):
        return self.name


class Tenant:
    """Stands for the authentication of an application."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.workspace = request.headers["X-Workspace"]
        request.user = User(request.workspace)
        return self.get_response(request)


urlpatterns = [path("tickets/<int:ticket>/close", recipe.close_ticket)]


def close(workspace, actor, ip, ticket):
    client = Client(raise_request_exception=False)
    response = client.post(f"/tickets/{ticket}/close", REMOTE_ADDR=ip, headers={"X-Workspace": workspace})
    if response.status_code != 204:
        raise RuntimeError(f"ticket {ticket}: status {response.status_code}")


requests.run(close)
