"""An RSA key, its public set and certificate, and tokens: mod_auth_openidc takes no other certificates.

usage: tokens.py DIR ISSUER AUDIENCE NAME=SCOPES...   writes jwks.json, cert.pem and NAME.token into DIR
"""
import datetime
import json
import sys
import time

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

folder, issuer, audience, *specs = sys.argv[1:]
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
today = datetime.datetime.now(datetime.timezone.utc)
certificate = (
    x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(x509.random_serial_number()).not_valid_before(today - datetime.timedelta(days=1))
    .not_valid_after(today + datetime.timedelta(days=2)).sign(key, hashes.SHA256())
)
jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
jwk.pop("key_ops", None)


def write(file, text):
    with open(f"{folder}/{file}", "w") as f:
        f.write(text)


write("jwks.json", json.dumps({"keys": [{**jwk, "kid": "rsa", "use": "sig", "alg": "RS256"}]}))
write("cert.pem", certificate.public_bytes(serialization.Encoding.PEM).decode())
for spec in specs:
    user, scope = spec.split("=")
    now = int(time.time())
    claims = {"iss": issuer, "aud": audience, "sub": user, "client_id": "client", "scope": scope, "iat": now, "exp": now + 3600}
    write(f"{user}.token", jwt.encode(claims, key, algorithm="RS256", headers={"kid": "rsa"}))
