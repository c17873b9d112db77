"""Who takes part, each in the configuration of benches/leaks/rivals; installed and started as for benches/compare."""

import pathlib

from driver.contestants import Contestant, debian, hushgate, pypi

RIVALS = pathlib.Path(__file__).resolve().parent.parent / "rivals"

# Seconds that a rival waits for a head, or for the upstream; hushgate has its defaults, 15 s.
TIMEOUT = 3

LABELS = {
    "hushgate": "hushgate", "nginx": "nginx", "nginx-errors": "nginx, errors logged", "haproxy": "HAProxy",
    "envoy": "Envoy", "caddy": "Caddy", "traefik": "Traefik",
}
# The same with the logs that they come with.
USUAL = {f"{name}-usual": LABELS[name] for name in ("nginx", "haproxy", "envoy", "caddy", "traefik")}
SINKS = {"access": "access log", "error": "error log", "stdout": "standard output", "stderr": "standard error"}


def everybody():
    return [
        Contestant("hushgate", ["hushgate.toml"], hushgate, ["run", "--config"], version=["--version"],
                   check=["check", "--config"], rivals=RIVALS),
        nginx("nginx", ["best", "hidden"]), nginx("nginx-errors", ["best", "logged"]),
        *(make(name, ["best"]) for name, make in OTHERS.items()),
        nginx("nginx-usual", ["usual", "logged"]),
        *(make(f"{name}-usual", ["usual"]) for name, make in OTHERS.items()),
    ]


def nginx(name, marks):
    return Contestant(name, ["nginx.conf"], debian("nginx"), ["-c"], version=["-v"], marks=marks,
                      check=["-t", "-q", "-c"], rivals=RIVALS)


def haproxy(name, marks):
    return Contestant(name, ["haproxy.cfg"], debian("haproxy"), ["-db", "-f"], version=["-v"], marks=marks,
                      check=["-c", "-q", "-f"], rivals=RIVALS)


def envoy(name, marks):
    return Contestant(name, ["envoy.yaml"], pypi("envoy"),
                      ["--concurrency", "2", "--disable-hot-restart", "--file-flush-interval-msec", "100", "-c"],
                      version=["--version"], marks=marks, check=["--mode", "validate", "--log-level", "error", "-c"],
                      rivals=RIVALS)


def caddy(name, marks):
    return Contestant(name, ["Caddyfile"], pypi("caddy"), ["run", "--adapter", "caddyfile", "--config"],
                      version=["version"], marks=marks, check=["validate", "--adapter", "caddyfile", "--config"],
                      rivals=RIVALS)


def traefik(name, marks):
    # It has no checker: that it serves shows that it took its configuration.
    return Contestant(name, ["traefik.yaml", "traefik-routes.yaml"], pypi("traefik"), ["--configfile"],
                      version=["version"], marks=marks, rivals=RIVALS)


OTHERS = {"haproxy": haproxy, "envoy": envoy, "caddy": caddy, "traefik": traefik}


def patience(contestant):
    """Seconds that one request may take: more than the limit of time that is to be seen."""
    return 18 if contestant.name == "hushgate" else TIMEOUT + 3


def sinks(contestant):
    """What it writes while it runs, by the path of the file: its logs, standard output and standard error."""
    return {str(file): SINKS[file.stem] for file in sorted(contestant.running.folder.glob("*.log"))}
