#!/usr/bin/env python3
"""Makes the realm of the quickstart in a fresh Keycloak, by its admin REST interface, step by step as an administrator would in
the console. Needs nothing but Python.

usage: realm.py KEYCLOAK_URL RESOURCE       the password of admin comes on standard input; prints the users, "name password" each

A role says what a user may do, a scope what the user lets a client do. A client scope that is mapped to a role brings that role,
and only to who has it: the claim mcp_scopes holds the roles a user has AND has lent to this client.
"""
import json
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request

REALM = "mcp-demo"
# A role each, and a client scope of the same name with what the page of consent says of it.
RIGHTS = {"calc:list": "See the tools", "calc:use": "Add and multiply", "calc:divide": "Divide"}
USERS = {"alice": ["calc:list", "calc:use", "calc:divide"], "bob": ["calc:list", "calc:use"], "carol": []}
SCOPES = ["mcp:run", *RIGHTS]
OTHER = "other:run"  # of another server: its tokens are none for this one
TOKEN_LIFETIME = 600
BOTH = {"access.token.claim": "true", "introspection.token.claim": "true", "id.token.claim": "false"}


class Keycloak:
    def __init__(self, base, password):
        self.base, self.token = base, None
        form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": password}
        place = "/realms/master/protocol/openid-connect/token"
        _, answer = self.send("POST", place, urllib.parse.urlencode(form).encode())
        self.token = answer["access_token"]

    def send(self, method, path, data=None):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                body = answer.read()
                return answer.headers, json.loads(body) if body else None
        except urllib.error.HTTPError as e:
            sys.exit(f"realm.py: {method} {path}: {e.code} {e.read().decode()[:300]}")

    def admin(self, method, path, value=None):
        return self.send(method, f"/admin/realms{path}", None if value is None else json.dumps(value).encode())

    def get(self, path):
        return self.admin("GET", f"/{REALM}{path}")[1]

    def create(self, path, value):
        """The id of what was made."""
        headers, _ = self.admin("POST", f"/{REALM}{path}", value)
        return (headers.get("Location") or "").rsplit("/", 1)[-1]


def make_realm(kc):
    kc.admin("POST", "", {"realm": REALM, "displayName": "Calculator", "enabled": True, "sslRequired": "none",
                          "accessTokenLifespan": TOKEN_LIFETIME, "roles": {"realm": [{"name": right} for right in RIGHTS]}})


def make_users(kc):
    passwords = {name: f"{name}-{secrets.token_hex(4)}" for name in USERS}
    roles = {right: kc.get(f"/roles/{right}") for right in RIGHTS}
    for name, rights in USERS.items():
        user = kc.create("/users", {
            "username": name, "enabled": True, "email": f"{name}@example.test", "emailVerified": True,
            "firstName": name.title(), "lastName": "Example",
            "credentials": [{"type": "password", "value": passwords[name], "temporary": False}]})
        kc.create(f"/users/{user}/role-mappings/realm", [roles[right] for right in rights])
    return passwords


def audience_mapper(url):
    """Keycloak 26.4 writes no aud by itself, whatever resource a client names."""
    return {"name": f"audience {url}", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": url, **BOTH}}


def roles_mapper():
    return {"name": "roles as mcp_scopes", "protocol": "openid-connect", "protocolMapper": "oidc-usermodel-realm-role-mapper",
            "config": {"claim.name": "mcp_scopes", "jsonType.label": "String", "multivalued": "true", **BOTH}}


def name_mapper():
    """Clients that register themselves do not get the scope profile."""
    return {"name": "user name", "protocol": "openid-connect", "protocolMapper": "oidc-usermodel-attribute-mapper",
            "config": {"user.attribute": "username", "claim.name": "preferred_username", "jsonType.label": "String", **BOTH}}


def make_scope(kc, name, consent, *mappers):
    """A client scope that clients may ask for: an optional one."""
    scope = kc.create("/client-scopes", {
        "name": name, "protocol": "openid-connect", "protocolMappers": list(mappers),
        "attributes": {"include.in.token.scope": "true", "display.on.consent.screen": "true",
                       "consent.screen.text": consent, "gui.order": str([*SCOPES, OTHER].index(name))}})
    kc.admin("PUT", f"/{REALM}/default-optional-client-scopes/{scope}")
    return scope


def make_scopes(kc, resource):
    make_scope(kc, "mcp:run", "Use the calculator in your name", audience_mapper(resource), roles_mapper(), name_mapper())
    for right, consent in RIGHTS.items():
        scope = make_scope(kc, right, consent)
        kc.create(f"/client-scopes/{scope}/scope-mappings/realm", [kc.get(f"/roles/{right}")])
    make_scope(kc, OTHER, "Use another server", audience_mapper(urllib.parse.urljoin(resource, "/other/mcp")))


def make_client(kc):
    """For clients that do not register themselves. Full scope is off: no role without its scope."""
    kc.create("/clients", {
        "clientId": "mcp-public", "name": "mcp-public", "protocol": "openid-connect", "publicClient": True,
        "standardFlowEnabled": True, "directAccessGrantsEnabled": False, "fullScopeAllowed": False, "consentRequired": True,
        "redirectUris": ["http://localhost/*", "http://127.0.0.1/*"], "webOrigins": ["+"],
        "defaultClientScopes": ["basic", "acr"], "optionalClientScopes": [*SCOPES, OTHER, "offline_access"],
        "attributes": {"pkce.code.challenge.method": "S256"}})


def open_registration(kc):
    """Who may register without being asked, and for which scopes. Consent and "full scope off" stay as Keycloak has them."""
    policies = kc.get("/components?type=org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy")
    for policy in policies:
        if policy["subType"] != "anonymous":
            continue
        if policy["providerId"] == "trusted-hosts":
            policy["config"] = {"trusted-hosts": ["localhost", "127.0.0.1"],
                                "host-sending-registration-request-must-match": ["true"], "client-uris-must-match": ["false"]}
        elif policy["providerId"] == "allowed-client-templates":
            policy["config"] = {"allow-default-scopes": ["true"],
                                "allowed-client-scopes": ["openid", "offline_access", *SCOPES]}
        else:
            continue
        kc.admin("PUT", f"/{REALM}/components/{policy['id']}", policy)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    base, resource = sys.argv[1:]
    kc = Keycloak(base, sys.stdin.readline().strip())
    make_realm(kc)
    make_scopes(kc, resource)
    passwords = make_users(kc)
    make_client(kc)
    open_registration(kc)
    for name, password in passwords.items():
        print(name, password)


if __name__ == "__main__":
    main()
