"""authlib asks a running service for tokens of services, exchanges one, asks about it and takes it back.

    python grants.py SERVICE_URL
"""

import base64
import json
import sys

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

SERVICE = sys.argv[1]
ORDERS = "https://orders.example.com"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def post(path: str, body: dict, token: str | None = None) -> dict:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = requests.post(SERVICE + path, json=body, headers=headers, timeout=10)
    answer.raise_for_status()
    return answer.json()


def claims(token: str) -> dict:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


ADMIN = post("/auth/login", {"email": "johndoe@example.com", "password": "password"})["accessToken"]


def session(terms: dict) -> OAuth2Session:
    secret = post("/clients", terms, ADMIN)["secret"]
    return OAuth2Session(terms["id"], secret, token_endpoint=f"{SERVICE}/oauth2/token")


def asked(by: OAuth2Session, **fields: str) -> dict:
    return by.fetch_token(**fields)


gateway = session({"id": "gateway-of-python", "audiences": [ORDERS], "exchange": True})
orders = session({"id": "orders-of-python", "audience": ORDERS})


def introspected(token: str) -> dict:
    answer = orders.introspect_token(f"{SERVICE}/oauth2/introspect", token=token, token_type_hint="access_token")
    assert answer.status_code == 200, answer.text
    return answer.json()


own = asked(gateway, grant_type="client_credentials", resource=ORDERS)
assert claims(own["access_token"])["aud"] == ORDERS, own
try:
    asked(gateway, grant_type="client_credentials", resource="https://elsewhere")
    raise AssertionError("a token for whom the client may have none")
except OAuthError as refused:
    assert refused.error == "invalid_target", refused

person = {"email": "python@example.com", "password": "correct horse battery staple"}
post("/auth/register", person)
access = post("/auth/login", person)["accessToken"]
exchanged = asked(
    gateway, grant_type=EXCHANGE, subject_token=access, subject_token_type=ACCESS_TOKEN, resource=ORDERS
)
assert exchanged["issued_token_type"] == ACCESS_TOKEN, exchanged
assert claims(exchanged["access_token"])["act"] == {"sub": "gateway-of-python"}, exchanged

before = introspected(exchanged["access_token"])
assert (before["active"], before["aud"], before["act"]) == (True, [ORDERS], {"sub": "gateway-of-python"}), before
revoked = gateway.revoke_token(f"{SERVICE}/oauth2/revoke", token=exchanged["access_token"], token_type_hint="access_token")
assert revoked.status_code == 200, revoked.text
assert introspected(exchanged["access_token"]) == {"active": False}
assert introspected(own["access_token"])["active"], "the other one stands"
print("authlib: client_credentials with resource, exchange, introspection and revocation work")
