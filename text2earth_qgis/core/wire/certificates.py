"""Why a secure connection could not be made, and what the user can trust where."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCryptographicHash, QDateTime
from qgis.PyQt.QtNetwork import QNetworkReply, QSslCertificate

from text2earth_qgis.core.language import tr

TRUST = tr("Settings > Options > Authentication > Manage Certificates")


def certificate_fault(reply: QNetworkReply) -> str:
    """Return why the handshake of a finished request failed, in sentences; empty if it did not fail."""
    if reply.error() != QNetworkReply.NetworkError.SslHandshakeFailedError:
        return ""
    certificate = reply.sslConfiguration().peerCertificate()
    if certificate.isNull():
        return tr("it is no secure server. If the backend has no TLS, write its address with http://")
    found = bytes(certificate.digest(QCryptographicHash.Algorithm.Sha256).toHex(":")).decode().upper()
    return tr(
        "{fault}. If you know this certificate (SHA-256 {found}), trust it in {trust}: it itself "
        "under Servers, or the authority that signed it under Authorities"
    ).format(fault=_reason(certificate), found=found, trust=TRUST)


def _reason(certificate: QSslCertificate) -> str:
    if certificate.expiryDate() < QDateTime.currentDateTime():
        return tr("its certificate expired on {date}").format(
            date=certificate.expiryDate().toString("yyyy-MM-dd")
        )
    if certificate.isSelfSigned():
        return tr("its certificate is signed by nobody but itself")
    names = certificate.issuerInfo(QSslCertificate.SubjectInfo.CommonName)
    if not names:
        return tr("its certificate is not trusted on this computer, or is for another host")
    return tr(
        "its certificate, signed by {name}, is not trusted on this computer, or is for another host"
    ).format(name=names[0])
