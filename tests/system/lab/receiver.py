"""Receivers of notifications: webhooks and a datagram socket."""
import contextlib
import http.server
import json
import socket
import ssl
import subprocess
import threading

from .wait import wait_until

DEADLINE_S = 20


class Certificate:
    """A CA of its own, and a certificate of it for an address."""

    def __init__(self, directory, name, address):
        self.ca = directory / f"{name}-ca.pem"
        self.pem = directory / f"{name}.pem"
        ca_key = directory / f"{name}-ca.key"
        request = directory / f"{name}.csr"
        extensions = directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName=IP:{address}\n")
        new = ["openssl", "req", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:prime256v1", "-nodes", "-subj"]
        self._run(*new, f"/CN={name} CA", "-x509", "-days", "2",
                  "-keyout", ca_key, "-out", self.ca)
        self._run(*new, f"/CN={name}", "-keyout", f"{self.pem}.key",
                  "-out", request)
        self._run("openssl", "x509", "-req", "-in", request, "-days", "2",
                  "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial",
                  "-extfile", extensions, "-out", self.pem)

    @staticmethod
    def _run(*argv):
        subprocess.run(list(map(str, argv)), check=True, capture_output=True)


class Webhook:
    """An HTTP(S) server in a namespace. status is its answer to a POST;
    while it hangs it has none."""

    def __init__(self, namespace, address, port, certificate=None):
        self.events, self.headers = [], []
        self.status = 204
        self._released = threading.Event()
        self._released.set()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook._released.wait(60)
                if hook.status < 300:
                    hook.events.append(json.loads(body))
                hook.headers.append(dict(self.headers))
                with contextlib.suppress(OSError):
                    self.send_response(hook.status)
                    self.end_headers()

            def log_message(self, *_):
                pass

        with namespace.entered():
            self._server = http.server.ThreadingHTTPServer(
                (address, port), Handler)
        self._server.handle_error = lambda *_: None
        self.url = f"http://{address}:{port}/hook"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.pem,
                                    f"{certificate.pem}.key")
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True,
                do_handshake_on_connect=False)
            self.url = self.url.replace("http:", "https:")
        self._thread = threading.Thread(target=self._server.serve_forever,
                                        kwargs={"poll_interval": 0.05})
        self._thread.start()

    def hang(self):
        self._released.clear()

    def release(self):
        self._released.set()

    def wait_event(self, code, **fields):
        return wait_event(lambda: self.events, code, **fields)

    def close(self):
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class DatagramReceiver:
    def __init__(self, path):
        self.events = []
        self.url = f"unix:{path}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def read(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.events.append(json.loads(self._socket.recv(65536)))
        return self.events

    def wait_event(self, code, **fields):
        return wait_event(self.read, code, **fields)

    def close(self):
        self._socket.close()


def wait_event(read, code, **fields):
    """The first event of that code with these fields, once it is there."""
    wanted = {"event": code, **fields}

    def look():
        return next((event for event in read()
                     if wanted.items() <= event.items()), None)
    return wait_until(look, DEADLINE_S, f"the event {wanted}")
