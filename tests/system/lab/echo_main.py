"""Echo targets: one process, many listening addresses.

Greets with "220 ADDRESS", echoes what comes, closes after the peer's FIN.
Commands on stdin, one JSON answer each: `close ADDRESS` (refuses from then
on), `open ADDRESS`, `counts`.
"""
import json
import select
import socket
import sys


class Echo:
    def __init__(self, port, addresses):
        self.port = port
        self.epoll = select.epoll()
        self.listeners, self.connections = {}, {}
        self.counts = dict.fromkeys(addresses, 0)
        for address in addresses:
            self.open(address)
        self.epoll.register(sys.stdin.fileno(), select.EPOLLIN)

    def open(self, address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, self.port))
        sock.listen(4096)
        sock.setblocking(False)
        self.listeners[sock.fileno()] = (sock, address)
        self.epoll.register(sock.fileno(), select.EPOLLIN)

    def close(self, address):
        for fd, (sock, name) in list(self.listeners.items()):
            if name == address:
                del self.listeners[fd]
                sock.close()

    def command(self):
        words = sys.stdin.readline().split()
        if not words:
            sys.exit(0)
        if words[0] == "close":
            self.close(words[1])
        elif words[0] == "open":
            self.open(words[1])
        print(json.dumps({"counts": self.counts,
                          "connections": len(self.connections)}), flush=True)

    def accept(self, listener, address):
        for _ in range(64):
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections[sock.fileno()] = sock
            self.epoll.register(sock.fileno(), select.EPOLLIN)
            try:
                sock.send(f"220 {address}\r\n".encode())
            except OSError:
                self.drop(sock)

    def drop(self, sock):
        del self.connections[sock.fileno()]
        sock.close()

    def serve(self, sock):
        try:
            data = sock.recv(65536)
            if data:
                sock.send(data)
                self.counts[sock.getsockname()[0]] += 1
            else:
                self.drop(sock)
        except BlockingIOError:
            pass
        except OSError:
            self.drop(sock)

    def run(self):
        print("ready", flush=True)
        while True:
            for fd, _ in self.epoll.poll():
                if fd in self.connections:
                    self.serve(self.connections[fd])
                elif fd in self.listeners:
                    self.accept(*self.listeners[fd])
                elif fd == sys.stdin.fileno():
                    self.command()


if __name__ == "__main__":
    Echo(int(sys.argv[1]), sys.argv[2:]).run()
