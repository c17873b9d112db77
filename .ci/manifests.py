"""Checks the Kubernetes manifests of a folder, and what they and the unit take from configurations.

Every document is held against the API schemas, strictly, of the oldest and the newest version that
the manifests are for. A schema cannot see that one document names another, so names are followed
here; nor that a pod is killed in the middle of its drain.
"""

import pathlib
import re
import sys
import tomllib

import kubernetes_validate
import yaml

# 1.29 is the first that has native sidecars without a feature gate.
VERSIONS = ("1.29", "1.37")
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


class Loader(yaml.SafeLoader):
    """Refuses what YAML lets pass and Kubernetes does not: a key that is there twice."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"line {line}: {', '.join(sorted(map(str, twice)))} is there twice")
        return super().construct_mapping(node, deep)


def name_of(document):
    return f"{document.get('kind')} {document.get('metadata', {}).get('name')}"


def seconds(duration):
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)\s*(ms|s|m|h)", duration))


def drain(configuration):
    """The longest that hushgate takes to end; the defaults are those of the program."""
    section = tomllib.loads(configuration).get("drain", {})
    return seconds(section.get("delay", "0s")) + seconds(section.get("timeout", "30s"))


def port(configuration, section, default):
    return int(tomllib.loads(configuration).get(section, {}).get("address", default).rpartition(":")[2])


def schema_problems(document):
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            path = ".".join(str(step) for step in error.absolute_path) or "top level"
            yield f"{path}: {error.message} (Kubernetes {version})"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield error.message
        except (KeyError, AttributeError, TypeError):
            yield "no apiVersion, kind or metadata"
            return


def matches(selector, labels):
    return bool(selector) and selector.items() <= labels.items()


def selector_problems(document, templates):
    """What selects pods has to find some in its file; a policy may be for another's."""
    spec, kind = document.get("spec", {}), document["kind"]
    selector = spec.get("selector", {})
    if kind in ("Deployment", "PodDisruptionBudget"):
        selector = selector.get("matchLabels", {})
    elif kind != "Service":
        return
    found = [template["spec"] for template in templates if matches(selector, template["metadata"]["labels"])]
    if not found:
        yield "its selector finds no pod of this file"
    for entry in spec.get("ports", []) if kind == "Service" else []:
        target = entry.get("targetPort", entry["port"])
        # Named ports of a native sidecar are not found before 1.32, so a sidecar's go by number.
        ports = [p for pod in found for c in pod["containers"] for p in c.get("ports", [])]
        known = {p["name"] for p in ports if "name" in p}
        ports += [p for pod in found for c in pod.get("initContainers", []) for p in c.get("ports", [])]
        known |= {p["containerPort"] for p in ports}
        if target not in known:
            yield f"targetPort {target} is no port of the pods that it selects"


def container_problems(container, volumes):
    ports = {value for entry in container.get("ports", []) for value in (entry.get("name"), entry["containerPort"])}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        target = container.get(probe, {}).get("httpGet", {}).get("port")
        if target is not None and target not in ports:
            yield f"{probe} asks port {target}, which the container does not have"
    mounts = {mount["mountPath"].rstrip("/"): mount["name"] for mount in container.get("volumeMounts", [])}
    for path, volume in mounts.items():
        if volume not in volumes:
            yield f"volumeMounts names the volume {volume}, which is not there"
        if any(path.startswith(other + "/") for other in mounts):
            yield f"{path} is mounted into another read-only volume"


def pod_problems(pod, configurations):
    containers = pod["containers"] + pod.get("initContainers", [])
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    for container in containers:
        for problem in container_problems(container, volumes):
            yield f"{container['name']}: {problem}"
    ports = {entry["containerPort"] for container in containers for entry in container.get("ports", [])}
    for volume in volumes.values():
        if "configMap" not in volume:
            continue
        configuration = configurations.get(volume["configMap"]["name"])
        if configuration is None:
            yield f"the volume {volume['name']} names no ConfigMap of this file that has a gateway.toml"
            continue
        grace = pod.get("terminationGracePeriodSeconds", 30)
        if grace <= drain(configuration):
            yield f"terminationGracePeriodSeconds is {grace}, and the drain may take {drain(configuration):g} s"
        for section, default in (("listen", "127.0.0.1:8080"), ("admin", "127.0.0.1:9090")):
            if port(configuration, section, default) not in ports:
                yield f"{section}.address is no port of the pod's containers"


def check_manifest(path, sidecar):
    documents = [document for document in yaml.load_all(path.read_text(), Loader) if document is not None]
    templates = [document["spec"]["template"] for document in documents if document.get("kind") == "Deployment"]
    configurations = {
        document["metadata"]["name"]: document["data"]["gateway.toml"]
        for document in documents
        if document.get("kind") == "ConfigMap" and "gateway.toml" in document["data"]
    }
    if not documents:
        yield "", "no document"
    for document in documents:
        problems = list(schema_problems(document))
        if not problems:
            problems += selector_problems(document, templates)
        if not problems and document["kind"] == "Deployment":
            problems += pod_problems(document["spec"]["template"]["spec"], configurations)
        if document.get("kind") == "ConfigMap" and path.name == "sidecar.yaml":
            if document["data"].get("gateway.toml") != sidecar:
                problems.append("its gateway.toml is not gateway.sidecar.toml, word for word")
        for problem in problems:
            yield name_of(document), problem
        if not problems:
            yield name_of(document), None


def unit_problems(folder):
    """The unit's figures have to suffice for the configuration that it comes with."""
    unit = dict(re.findall(r"^(\w+)=(.*)$", (folder / "hushgate.service").read_text(), re.MULTILINE))
    configuration = (folder / "gateway.edge.toml").read_text()
    if seconds(unit["TimeoutStopSec"]) <= drain(configuration):
        yield f"TimeoutStopSec is {unit['TimeoutStopSec']}, and the drain may take {drain(configuration):g} s"
    connections = tomllib.loads(configuration).get("limits", {}).get("connections", 10000)
    if int(unit["LimitNOFILE"]) < 2 * connections:
        yield f"LimitNOFILE is {unit['LimitNOFILE']}, and {connections} sockets take {2 * connections}"


def main(folder):
    failed = False
    sidecar = (folder / "gateway.sidecar.toml").read_text()
    manifests = sorted((folder / "kubernetes").glob("*.yaml"))
    if not manifests:
        print(f"{folder}/kubernetes: no manifest", file=sys.stderr)
        return 1
    for path in manifests:
        try:
            results = list(check_manifest(path, sidecar))
        except (yaml.YAMLError, KeyError, TypeError, AttributeError, tomllib.TOMLDecodeError) as error:
            results = [("", f"{type(error).__name__}: {error}")]
        for name, problem in results:
            failed |= problem is not None
            print(f"{path}: {name}: {problem or 'valid'}", file=sys.stderr if problem else sys.stdout)
    for problem in unit_problems(folder):
        failed = True
        print(f"{folder}/hushgate.service: {problem}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
