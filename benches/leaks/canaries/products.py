"""Who takes part, each in the configuration of benches/leaks/rivals; installed and started as for benches/compare."""

import pathlib

from driver.contestants import Contestant, debian, hushgate, pypi

RIVALS = pathlib.Path(__file__).resolve().parent.parent / "rivals"

# Seconds that a rival waits for a head, or for the upstream; hushgate has its defaults, 15 s.
TIMEOUT = 3

LABELS = {
    "hushgate": "hushgate", "nginx": "nginx", "nginx-usual": "nginx, usual error log", "haproxy": "HAProxy", "envoy": "Envoy", "caddy": "Caddy", "traefik": "Traefik",
}
SINKS = {"access": "access log", "error": "error log", "stdout": "standard output", "stderr": "standard error"}


def everybody():
    nginx = {"files": ["nginx.conf"], "program": debian("nginx"), "version": ["-v"], "command": ["-c"],
             "check": ["-t", "-q", "-c"], "rivals": RIVALS}
    return [
        Contestant("hushgate", ["hushgate.toml"], hushgate, ["run", "--config"], version=["--version"],
                   check=["check", "--config"], rivals=RIVALS),
        Contestant("nginx", **nginx, marks=["hidden"]),
        Contestant("nginx-usual", **nginx, marks=["usual"]),
        Contestant("haproxy", ["haproxy.cfg"], debian("haproxy"), ["-db", "-f"], version=["-v"],
                   check=["-c", "-q", "-f"], rivals=RIVALS),
        Contestant("envoy", ["envoy.yaml"], pypi("envoy"),
                   ["--concurrency", "2", "--disable-hot-restart", "--file-flush-interval-msec", "100", "-c"],
                   version=["--version"], check=["--mode", "validate", "--log-level", "error", "-c"], rivals=RIVALS),
        Contestant("caddy", ["Caddyfile"], pypi("caddy"), ["run", "--adapter", "caddyfile", "--config"],
                   version=["version"], check=["validate", "--adapter", "caddyfile", "--config"], rivals=RIVALS),
        # It has no checker: that it serves shows that it took its configuration.
        Contestant("traefik", ["traefik.yaml", "traefik-routes.yaml"], pypi("traefik"), ["--configfile"],
                   version=["version"], rivals=RIVALS),
    ]


def patience(contestant):
    """Seconds that one request may take: more than the limit of time that is to be seen."""
    return 18 if contestant.name == "hushgate" else TIMEOUT + 3


def sinks(contestant):
    """What it writes while it runs, by the path of the file: its logs, standard output and standard error."""
    return {str(file): SINKS[file.stem] for file in sorted(contestant.running.folder.glob("*.log"))}
