"""Why a secure connection could not be made, and what the user can trust where."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCryptographicHash, QDateTime
from qgis.PyQt.QtNetwork import QNetworkReply, QSslCertificate

TRUST = "Settings > Options > Authentication > Manage Certificates"


def certificate_fault(reply: QNetworkReply) -> str:
    """Return why the handshake of a finished request failed, in sentences; empty if it did not fail."""
    if reply.error() != QNetworkReply.NetworkError.SslHandshakeFailedError:
        return ""
    certificate = reply.sslConfiguration().peerCertificate()
    if certificate.isNull():
        return "it is no secure server. If the backend has no TLS, write its address with http://"
    found = bytes(certificate.digest(QCryptographicHash.Algorithm.Sha256).toHex(":")).decode().upper()
    return (
        f"{_reason(certificate)}. If you know this certificate (SHA-256 {found}), trust it in {TRUST}: it "
        "itself under Servers, or the authority that signed it under Authorities"
    )


def _reason(certificate: QSslCertificate) -> str:
    if certificate.expiryDate() < QDateTime.currentDateTime():
        return f"its certificate expired on {certificate.expiryDate().toString('yyyy-MM-dd')}"
    if certificate.isSelfSigned():
        return "its certificate is signed by nobody but itself"
    names = certificate.issuerInfo(QSslCertificate.SubjectInfo.CommonName)
    signed = f", signed by {names[0]}," if names else ""
    return f"its certificate{signed} is not trusted on this computer, or is for another host"
