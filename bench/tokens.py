"""Keys and tokens for the measurements: one key per algorithm, one key set with all of them, files with one token per line."""

import base64
import concurrent.futures
import datetime
import itertools
import json
import os
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://sso.example.com/realms/mcp"
AUDIENCE = "https://mcp.example.com/mcp"
SCOPE = "mcp:run"
SIZE = 850  # characters of a token
CURVES = {"ES256": (ec.SECP256R1, "P-256"), "ES384": (ec.SECP384R1, "P-384"), "ES512": (ec.SECP521R1, "P-521")}
HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(n, size=None):
    return b64(n.to_bytes(size or (n.bit_length() + 7) // 8, "big"))


def make_key(alg):
    if alg in CURVES:
        return ec.generate_private_key(CURVES[alg][0]())
    if alg == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def jwk(alg, key):
    public, common = key.public_key(), {"kid": alg, "alg": alg, "use": "sig"}
    if alg in CURVES:
        n, size = public.public_numbers(), (key.curve.key_size + 7) // 8
        return {**common, "kty": "EC", "crv": CURVES[alg][1], "x": number(n.x, size), "y": number(n.y, size)}
    if alg == "EdDSA":
        return {**common, "kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}
    n = public.public_numbers()
    return {**common, "kty": "RSA", "n": number(n.n), "e": number(n.e)}


def certificate(key):
    """mod_auth_openidc reads its local keys from certificates."""
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")]), datetime.datetime.now(
        datetime.timezone.utc
    )
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(2))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def sign(alg, key, text):
    if alg == "EdDSA":
        return key.sign(text)
    digest = HASHES[alg[2:]]()
    if alg in CURVES:
        size = (key.curve.key_size + 7) // 8
        return b"".join(n.to_bytes(size, "big") for n in decode_dss_signature(key.sign(text, ec.ECDSA(digest))))
    pad = padding.PKCS1v15() if alg[0] == "R" else padding.PSS(padding.MGF1(digest), digest.digest_size)
    return key.sign(text, pad, digest)


def token(alg, key, number_of_it, pad):
    now = int(time.time())
    head = {"alg": alg, "kid": alg, "typ": "at+jwt"}
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "client_id": "bench",
        "scope": SCOPE,
        "iat": now,
        "exp": now + 86400,
        "jti": f"{number_of_it:08d}",
        "groups": ["x" * pad],
    }
    text = ".".join(b64(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims)).encode()
    return text.decode() + "." + b64(sign(alg, key, text))


def padding_for(alg, key):
    """As much padding as makes a token SIZE characters long, or the first size above that base64 can reach."""
    for pad in itertools.count():
        if len(token(alg, key, 0, pad)) >= SIZE:
            return pad


def mint(job):
    alg, pem, pad, first, count = job
    key = serialization.load_pem_private_key(pem, None)
    return [token(alg, key, n, pad) for n in range(first, first + count)]


class Authority:
    """The authorization server of the measurements, as far as one is needed: its files lie in one directory."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.keys = {alg: make_key(alg) for alg in ALGORITHMS}
        # The location's own set has the one key that most measurements use; the algorithms have a set of their own.
        self.jwks = self.write("jwks.json", json.dumps({"keys": [jwk("RS256", self.keys["RS256"])]}))
        self.all_jwks = self.write("all.json", json.dumps({"keys": [jwk(alg, key) for alg, key in self.keys.items()]}))
        self.certificate = self.write("rs256.pem", certificate(self.keys["RS256"]))
        self.jwk = json.dumps(jwk("RS256", self.keys["RS256"]))

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        return path

    def tokens(self, name, alg, count):
        """A file of count distinct tokens; its path."""
        key, step = self.keys[alg], 500
        pad = padding_for(alg, key)
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        jobs = [(alg, pem, pad, first, min(step, count - first)) for first in range(0, count, step)]
        if len(jobs) == 1:
            made = map(mint, jobs)
        else:
            with concurrent.futures.ProcessPoolExecutor() as pool:
                made = list(pool.map(mint, jobs))
        return self.write(name, "".join(t + "\n" for part in made for t in part))
