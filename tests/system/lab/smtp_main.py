"""SMTP sessions, one after the other in each of some threads.

A session says EHLO, logs in, hands over one message and says QUIT. Runs until
stdin closes; prints one JSON object: how many were accepted, and what went
wrong in the others.

    smtp_main.py ADDRESS PORT USER PASSWORD SENDER RECIPIENT THREADS
"""
import json
import smtplib
import sys
import threading

MESSAGE = "Subject: load\r\n\r\nOne of many.\r\n"


class Client(threading.Thread):
    def __init__(self, stop, arguments):
        super().__init__()
        self.stop = stop
        self.address, port, self.user, self.password, *self.mail = arguments
        self.port = int(port)
        self.accepted, self.failures = 0, []

    def run(self):
        while not self.stop.is_set():
            try:
                self.session()
                self.accepted += 1
            except (OSError, smtplib.SMTPException) as error:
                self.failures.append(repr(error))

    def session(self):
        with smtplib.SMTP(self.address, self.port, "client.example.test",
                          timeout=30) as smtp:
            smtp.login(self.user, self.password)
            smtp.sendmail(*self.mail, MESSAGE)


def main():
    *arguments, threads = sys.argv[1:]
    stop = threading.Event()
    clients = [Client(stop, arguments) for _ in range(int(threads))]
    for client in clients:
        client.start()
    sys.stdin.read()
    stop.set()
    for client in clients:
        client.join()
    print(json.dumps({
        "accepted": sum(client.accepted for client in clients),
        "failures": sum((client.failures for client in clients), [])}))


main()
