"""HTTP by hand, from any namespace: what a test sends is what arrives."""
import contextlib
import json
import socket

PORT = 9587
TIMEOUT_S = 15


class Answer:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in
                        (line.partition(":") for line in lines[1:])}

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


def open_connection(namespace, address, port=PORT, source=None):
    sock = namespace.socket(socket.AF_INET6 if ":" in address
                            else socket.AF_INET)
    sock.settimeout(TIMEOUT_S)
    if source:
        sock.bind((source, 0))
    sock.connect((address, port))
    return sock


def read_answer(sock):
    raw = b""
    while True:
        data = sock.recv(65536)
        if not data:
            return Answer(raw)
        raw += data


def ask(namespace, address, path, port=PORT, method="GET", source=None,
        **headers):
    """The Answer to one request; Host is the address unless it is given."""
    host = f"[{address}]" if ":" in address else address
    headers = {"Host": f"{host}:{port}", "Connection": "close", **headers}
    head = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    with contextlib.closing(
            open_connection(namespace, address, port, source)) as sock:
        sock.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode())
        return read_answer(sock)
