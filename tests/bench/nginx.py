"""nginx on loopback, the yardstick: the same files over TLS and over plain HTTP."""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.http.outfolder import make_root
from tests.http.process import free_port
from tests.lab.service import Service

CONFIGURATION = """\
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes auto; user root;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; types {{ }} default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl; root {folder}/www;
    ssl_certificate {folder}/root.crt; ssl_certificate_key {folder}/root.key; ssl_protocols TLSv1.2 TLSv1.3;
  }}
}}
"""


@contextmanager
def nginx(folder: Path, files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Serves these files by their paths; the base URLs over TLS and over plain HTTP."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin") or "nginx"
    folder.mkdir()
    plain, tls = free_port(), free_port()
    for path, data in files.items():
        target = folder / "www" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    for name, pem in zip(("root.crt", "root.key"), make_root("nginx"), strict=True):
        (folder / name).write_bytes(pem)
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, plain=plain, tls=tls))
    service = Service([program, "-p", folder, "-c", folder / "nginx.conf"], folder / "log", {})
    try:
        wait_for(f"http://127.0.0.1:{plain}/{next(iter(files))}")
        yield f"https://127.0.0.1:{tls}", f"http://127.0.0.1:{plain}"
    finally:
        service.stop()


def wait_for(url: str) -> None:
    for _ in range(100):
        try:
            if httpx.head(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")
