"""A real Postfix in the server namespace, and real mail clients.

Postfix listens on the submission port with STARTTLS and SASL AUTH (sasldb)
and delivers into a maildir. Everything lies in one temporary directory.
"""
import email
import email.message
import email.policy
import hashlib
import json
import os
import pathlib
import pwd
import re
import subprocess
import sys
import tempfile

from .process import Process
from .wait import wait_until

DAEMONS = "/usr/lib/postfix/sbin"
DOMAIN, HOST = "example.test", "mail.example.test"
USER, PASSWORD = "alice", "correct horse 7"
SENDER, RECIPIENT = f"alice@{DOMAIN}", f"bob@{DOMAIN}"

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
daemon_directory = {daemons}
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {dir}/mail.log
maillog_file_prefixes = /tmp, /var/tmp, {dir}
myhostname = {host}
mydestination =
mynetworks = 127.0.0.1/32
inet_interfaces = {addresses}
inet_protocols = ipv4
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
message_size_limit = 0
virtual_mailbox_limit = 0
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
alias_maps =
alias_database =
local_recipient_maps =
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = {dir}/config/sasl
smtpd_sasl_local_domain = {host}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_tls_loglevel = 1
smtpd_tls_session_cache_database =
"""

MASTER_CF = """
{port}     inet  n - n - - smtpd{options}
cleanup    unix  n - n - 0 cleanup
qmgr       unix  n - n 300 1 qmgr
tlsmgr     unix  - - n 1000? 1 tlsmgr
rewrite    unix  - - n - - trivial-rewrite
bounce     unix  - - n - 0 bounce
defer      unix  - - n - 0 bounce
trace      unix  - - n - 0 bounce
proxymap   unix  - - n - - proxymap
error      unix  - - n - - error
virtual    unix  - n n - - virtual
anvil      unix  - - n - 1 anvil
scache     unix  - - n - 1 scache
postlog    unix-dgram n - n - 1 postlogd
"""

SMTPD_CONF = """
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {dir}/sasldb2
mech_list: PLAIN LOGIN
"""


class Postfix:
    def __init__(self, network, address, port, **options):
        """address: one, or several with ", " between; options: parameters of
        smtpd alone."""
        self._directory = tempfile.TemporaryDirectory(prefix="nlbd-test-")
        self.directory = pathlib.Path(self._directory.name)
        self.directory.chmod(0o755)
        self.network, self.address, self.port = network, address, port
        self._configure(options)
        self._master = Process(network.server.command(
            [f"{DAEMONS}/master", "-c", self.config, "-d"]),
            name="postfix")

    def _configure(self, options):
        owner = pwd.getpwnam("postfix")
        values = {"dir": self.directory, "daemons": DAEMONS, "host": HOST,
                  "domain": DOMAIN, "addresses": self.address,
                  "uid": owner.pw_uid, "gid": owner.pw_gid, "port": self.port,
                  "options": "".join(f"\n  -o {name}={value}" for name, value
                                     in options.items())}
        # Postfix wants a configuration directory of its own.
        self.config = self.directory / "config"
        for name in ("queue", "data", "mail", "config", "config/sasl"):
            (self.directory / name).mkdir()
        for name in ("data", "mail"):
            os.chown(self.directory / name, owner.pw_uid, owner.pw_gid)
        for name, text in (("main.cf", MAIN_CF), ("master.cf", MASTER_CF),
                           ("sasl/smtpd.conf", SMTPD_CONF)):
            (self.config / name).write_text(text.format(**values))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048",
                        "-nodes", "-days", "30", "-subj", f"/CN={HOST}",
                        "-keyout", self.directory / "key.pem",
                        "-out", self.directory / "cert.pem"],
                       check=True, capture_output=True)
        database = self.directory / "sasldb2"
        subprocess.run(["saslpasswd2", "-p", "-c", "-f", database, "-u", HOST,
                        USER], input=PASSWORD, text=True, check=True)
        os.chown(database, owner.pw_uid, owner.pw_gid)
        # Makes the queue's directories.
        self.network.server.run("postfix", "-c", self.config, "check")

    def __enter__(self):
        self._master.start()
        last = self.address.split(", ")[-1]
        wait_until(lambda: f"{last}:{self.port} " in
                   self.network.server.run("ss", "-tlnH").stdout, 15,
                   "Postfix listens")
        return self

    def __exit__(self, *exc):
        self._master.terminate()
        self._directory.cleanup()

    def log(self):
        path = self.directory / "mail.log"
        return path.read_text().splitlines() if path.exists() else []

    def complaints(self):
        """Lines that tell of trouble. A TCP health check says nothing, which
        Postfix notes as a connection lost after CONNECT; after any other
        command it would be a client's. That the machine's clock was set
        meanwhile, which its file times show, is nobody's here."""
        trouble = re.compile(r"warning:|error:|fatal:|panic:|timeout after|"
                             r"lost connection after (?!CONNECT)")
        clock = re.compile(r"warning: (file system clock is \d+ seconds ahead "
                           r"of local clock|resetting file time stamps)")
        return [line for line in self.log()
                if trouble.search(line) and not clock.search(line)]

    def count_delivered(self):
        return len(list((self.directory / "mail" / "inbox").glob("new/*")))

    def delivered(self, subject, deadline_s=30):
        """The delivered message with this subject, parsed."""
        def look():
            for path in (self.directory / "mail" / "inbox").glob("new/*"):
                with open(path, "rb") as file:
                    head = file.read(65536)
                if f"Subject: {subject}\n".encode() in head:
                    return path
            return None
        path = wait_until(look, deadline_s, f"delivery of {subject!r}")
        return email.message_from_bytes(path.read_bytes(),
                                        policy=email.policy.default)


def attachment_hash(message):
    part = next(message.iter_attachments())
    return hashlib.sha256(part.get_payload(decode=True)).hexdigest()


def compose(directory, subject, attachment):
    """An RFC 5322 file with a text and one attachment (bytes)."""
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"], message["To"] = SENDER, RECIPIENT
    message["Subject"] = subject
    message.set_content("Hello from the lab.\n.\n..leading dots\n")
    message.add_attachment(attachment, maintype="application",
                           subtype="octet-stream", filename="data.bin")
    path = pathlib.Path(directory) / f"{subject}.eml"
    path.write_bytes(message.as_bytes())
    return path


# Each client submits an RFC 5322 file to (address, port), logged in.

def swaks(namespace, server, file, starttls):
    return namespace.run(
        "swaks", "--server", server[0], "--port", server[1],
        "--from", SENDER, "--to", RECIPIENT, "--ehlo", "client.example.test",
        "--auth", "PLAIN", "--auth-user", f"{USER}@{HOST}",
        "--auth-password", PASSWORD, "--data", f"@{file}",
        "--suppress-data", "--timeout", "60",
        *(["--tls"] if starttls else []), check=False)


def msmtp(namespace, server, file, starttls):
    secure = (["--tls=on", "--tls-starttls=on", "--tls-certcheck=off",
               "--auth=plain"] if starttls else ["--tls=off", "--auth=plain"])
    with open(file, "rb") as message:
        return namespace.run(
            "msmtp", "--file=/dev/null", f"--host={server[0]}",
            f"--port={server[1]}", f"--from={SENDER}", *secure,
            f"--user={USER}@{HOST}",
            f"--passwordeval=echo '{PASSWORD}'", RECIPIENT,
            stdin=message, check=False)


def curl(namespace, server, file, starttls):
    return namespace.run(
        "curl", "--silent", "--show-error", "--url",
        f"smtp://{server[0]}:{server[1]}/client.example.test",
        "--mail-from", SENDER, "--mail-rcpt", RECIPIENT, "--user",
        f"{USER}@{HOST}:{PASSWORD}", "--login-options", "AUTH=PLAIN",
        "--upload-file", file,
        *(["--ssl-reqd", "--insecure"] if starttls else []), check=False)


CLIENTS = {"swaks": swaks, "msmtp": msmtp, "curl": curl}


class Sessions:
    """SMTP sessions of some threads in the client namespace, from the begin
    of a `with` to stop(); see smtp_main.py."""

    def __init__(self, network, server, threads=4):
        self._process = Process(network.client.command(
            [sys.executable, pathlib.Path(__file__).parent / "smtp_main.py",
             *server, f"{USER}@{HOST}", PASSWORD, SENDER, RECIPIENT,
             threads]), name="SMTP sessions", stdin=subprocess.PIPE)

    def __enter__(self):
        self._process.start()
        return self

    def __exit__(self, *exc):
        self._process.kill()

    def stop(self, deadline_s=60):
        """No new session; returns {"accepted": n, "failures": [...]}."""
        self._process.stdin.close()
        return json.loads(self._process.wait_line(r"^\{.*\}$", deadline_s)[0])
