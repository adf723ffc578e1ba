"""`kubectl` for a page's commands: holds each against deploy/kubernetes, in place of a cluster.

What a command names must be there, and what it runs in a pod runs here. Anything that is not
known is an error, so that no command of a page goes unchecked.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.deployment import DEPLOY, documents, manifests, pods

(KUSTOMIZATION,) = documents("kubernetes/kustomization.yaml")
NAMESPACE = KUSTOMIZATION["namespace"]


class NotThere(Exception):
    """A command names what the manifests do not have."""


def secrets() -> dict[str, set[str]]:
    """Return the keys that the pods take from each secret."""
    found: dict[str, set[str]] = {}
    for _, template in pods():
        for entry in template["spec"]["containers"][0]["env"]:
            if "valueFrom" in entry:
                reference = entry["valueFrom"]["secretKeyRef"]
                found.setdefault(reference["name"], set()).add(reference["key"])
    return found


def kubectl(words: list[str]) -> int:
    """Do what `kubectl WORDS` would, as far as it goes without a cluster; return the exit code."""
    match words:
        case ["create", "namespace", name]:
            wanted("namespace", name, {NAMESPACE})
            wanted("namespace", name, names("Namespace"))
        case ["-n", namespace, *rest]:
            wanted("namespace", namespace, {NAMESPACE})
            return namespaced(rest)
        case ["apply", "-k", folder]:
            wanted("folder", str(Path(folder)), {"deploy/kubernetes"})
            for file in KUSTOMIZATION["resources"]:
                wanted("file", file, {path.name for path in (DEPLOY / "kubernetes").iterdir()})
        case _:
            raise NotThere(f"not known here: kubectl {' '.join(words)}")
    return 0


def namespaced(words: list[str]) -> int:
    """Do what is asked of the namespace."""
    match words:
        case ["create", "secret", "generic", name, *literals]:
            known = secrets()
            wanted("secret", name, set(known))
            for literal in literals:
                option, _, value = literal.partition("=")
                wanted("option", option, {"--from-literal"})
                wanted("key of the secret", value.partition("=")[0], known[name])
        case ["exec", target, "--", *command]:
            kind, _, name = target.partition("/")
            wanted("kind", kind, {"deploy"})
            wanted("deployment", name, names("Deployment"))
            return subprocess.run(command, check=False).returncode
        case _:
            raise NotThere(f"not known here: kubectl -n {NAMESPACE} {' '.join(words)}")
    return 0


def names(kind: str) -> set[str]:
    """Return the names of the manifests of a kind."""
    return {one["metadata"]["name"] for one in manifests() if one["kind"] == kind}


def wanted(what: str, given: str, there: set[str]) -> None:
    """Raise `NotThere` where `given` is none of those that are there."""
    if given not in there:
        raise NotThere(f"no {what} {given!r} in deploy/kubernetes: {', '.join(sorted(there))}")


if __name__ == "__main__":
    try:
        sys.exit(kubectl(sys.argv[1:]))
    except NotThere as problem:
        sys.exit(f"kubectl: {problem}")
