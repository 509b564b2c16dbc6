#!/usr/bin/env python3
"""Plays the authorization server for a demo or a test: makes a signing key, its public key set, and access tokens.

usage: tokens.py --dir DIR --issuer URL --audience URL... [--lifetime SECONDS] NAME=SCOPE,SCOPE...

Writes DIR/jwks.json (public, for McpOAuthJwks file:...), DIR/issuer.pem (private) unless it is there already, and
DIR/NAME.token for each NAME: a signed JWT of RFC 9068 with sub NAME and these scopes. Needs pyjwt[crypto].
"""
import argparse
import json
import os
import sys
import time
import uuid

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

KID = "quickstart-1"


def write(path, text, mode):
    """A file that never, not for a moment, has wider permissions than mode."""
    fresh = path + ".new"
    if os.path.exists(fresh):
        os.unlink(fresh)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as f:
        os.fchmod(f.fileno(), mode)
        f.write(text)
    os.replace(fresh, path)


def signing_key(folder):
    path = os.path.join(folder, "issuer.pem")
    if os.path.exists(path):
        with open(path, "rb") as f:
            return serialization.load_pem_private_key(f.read(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write(path, pem.decode(), 0o600)
    return key


def public_set(key):
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    jwk.pop("key_ops", None)
    return json.dumps({"keys": [{**jwk, "kid": KID, "use": "sig", "alg": "ES256"}]}, indent=2) + "\n"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--dir", required=True)
    ap.add_argument("--issuer", required=True)
    ap.add_argument("--audience", required=True, action="append")
    ap.add_argument("--lifetime", type=int, default=8 * 3600)
    ap.add_argument("token", nargs="+", metavar="NAME=SCOPE,SCOPE")
    a = ap.parse_args()

    key, now = signing_key(a.dir), int(time.time())
    write(os.path.join(a.dir, "jwks.json"), public_set(key), 0o644)
    for spec in a.token:
        name, _, scopes = spec.partition("=")
        if not name or "/" in name:
            sys.exit(f"tokens.py: {spec!r} is not NAME=SCOPE,SCOPE")
        claims = {
            "iss": a.issuer,
            "aud": a.audience[0] if len(a.audience) == 1 else a.audience,
            "sub": name,
            "client_id": "quickstart",
            "scope": scopes.replace(",", " "),
            "iat": min(now, now + a.lifetime - 1),
            "exp": now + a.lifetime,
            "jti": str(uuid.uuid4()),
        }
        token = jwt.encode(claims, key, algorithm="ES256", headers={"typ": "at+jwt", "kid": KID})
        write(os.path.join(a.dir, name + ".token"), token + "\n", 0o600)


if __name__ == "__main__":
    main()
