"""An nginx in the server namespace, for HTTP and HTTPS health checks."""
import pathlib
import subprocess
import tempfile

from .process import Process
from .wait import wait_until

HTTP_PORT, HTTPS_PORT = 8080, 8443

CONFIG = """
daemon off;
master_process off;
pid {dir}/pid;
error_log {dir}/error.log info;
events {{ }}
http {{
    log_format lab '$request|$http_host|$http_user_agent|$status|$ssl_protocol';
    access_log {dir}/access.log lab;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen {address}:{http}{proxy};
        listen {address}:{https} ssl{proxy};
        ssl_certificate {dir}/cert.pem;
        ssl_certificate_key {dir}/key.pem;
        ssl_protocols TLSv1.3;
        location = /health {{
            if (-f {dir}/sick) {{ return 503; }}
            return 200 "well\\n";
        }}
        location = /moved {{ return 302 /health; }}
        location / {{ return 404; }}
    }}
}}
"""


class Nginx:
    def __init__(self, network, address, proxy_protocol=False):
        self._directory = tempfile.TemporaryDirectory(prefix="nlbd-test-")
        self.directory = pathlib.Path(self._directory.name)
        self.directory.chmod(0o755)
        self.network, self.address = network, address
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048",
                        "-nodes", "-days", "30", "-subj", "/CN=else.example",
                        "-keyout", self.directory / "key.pem",
                        "-out", self.directory / "cert.pem"],
                       check=True, capture_output=True)
        config = self.directory / "nginx.conf"
        config.write_text(CONFIG.format(
            dir=self.directory, address=address, http=HTTP_PORT,
            https=HTTPS_PORT,
            proxy=" proxy_protocol" if proxy_protocol else ""))
        self._process = Process(network.server.command(
            ["nginx", "-c", config, "-e", self.directory / "error.log"]))

    def __enter__(self):
        self._process.start()
        wait_until(lambda: f"{self.address}:{HTTPS_PORT} " in
                   self.network.server.run("ss", "-tlnH").stdout, 5,
                   "nginx listens")
        return self

    def __exit__(self, *exc):
        self._process.terminate()
        self._directory.cleanup()

    def set_sick(self, sick):
        path = self.directory / "sick"
        if sick:
            path.touch()
        else:
            path.unlink()

    def requests(self):
        """(request line, Host, User-Agent, status, TLS version) each."""
        path = self.directory / "access.log"
        return [tuple(line.split("|")) for line in
                path.read_text().splitlines()] if path.exists() else []

    def errors(self):
        lines = (self.directory / "error.log").read_text().splitlines()
        return [line for line in lines if "[notice]" not in line]
