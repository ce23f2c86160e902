"""The `ssl_params` that umqtt takes beside `ssl=True`, as an SSLContext: those of wrap_socket().

As there, the server is not verified unless they say how: with `cadata` it is, always. Whoever goes
without is told so once, on the console; tls_context.py knows no such way.
"""

import tls  # `ssl` is a wrapper that the unix port of some distributions lacks

# What wrap_socket() takes besides. The name is for the handshake, which the client sees to.
_OTHERS = ("server_hostname", "server_side", "do_handshake", "do_handshake_on_connect")


def context(params):
    """An SSLContext by `params`: `cadata`, `cert` and `key` (DER bytes; PEM where the port reads
    it), `cert_reqs`. Raises TypeError for a name that wrap_socket() does not know, ValueError for
    what is no certificate or key.
    """
    made = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    known = dict(params)
    for name in _OTHERS:
        known.pop(name, None)
    cadata = known.pop("cadata", None)
    cert = known.pop("cert", None)
    key = known.pop("key", None)
    verify = known.pop("cert_reqs", tls.CERT_NONE)
    if known:
        raise TypeError("ssl_params knows no " + ", ".join(known))
    if cadata:
        made.load_verify_locations(cadata)
        verify = tls.CERT_REQUIRED
    if cert:
        made.load_cert_chain(cert, key)
    made.verify_mode = verify
    if verify != tls.CERT_REQUIRED:
        print("mqtt: TLS without cadata in ssl_params: anybody may pass for the broker")
    return made
