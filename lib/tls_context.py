"""What TLS verifies the server by, and shows of its own: needed once, and then only its result.

There is no TLS without verifying.
"""

import tls  # `ssl` is a wrapper that the unix port of some distributions lacks


def tls_context(cadata, cert=None, key=None):
    """Context that verifies the server against `cadata`, and shows `cert` to it if given.

    All three are DER bytes: PEM is not read by every port before 1.29. Raises ValueError when one
    of them is not what it should be; that the key is another certificate's shows in the handshake.
    """
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)  # starts at CERT_REQUIRED
    context.load_verify_locations(cadata)
    if cert:
        context.load_cert_chain(cert, key)
    return context
