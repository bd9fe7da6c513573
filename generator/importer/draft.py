"""Knows the spec while it is being made: values by path, which variable each came from, and what could not be taken."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from generator.errors import Problem, Severity
from generator.importer import reading
from generator.importer.ansible import Setting, Settings
from generator.importer.table import DEFAULTS
from generator.source.place import is_secret_key
from generator.value import InvalidValueError, quoted

_TEMPLATE = re.compile(r"\{\{\s*(.*?)\s*\}\}")


class Imported(NamedTuple):
    """The text of a spec, and what a person should know: unsafe defaults that are gone, variables left out."""

    text: str
    warnings: tuple[Problem, ...]


class Draft:
    """Filled by rules and by the table; later values at the same path win, maps grow together."""

    def __init__(self, settings: Settings, facts: Mapping[str, str]) -> None:
        self.settings = settings
        self.tree: dict[str, Any] = {}
        self.origins: dict[str, list[str]] = {}
        self.warnings: list[Problem] = []
        self._facts = facts

    def is_set(self, name: str) -> bool:
        """Whether somebody gave the variable a value; nothing and the empty text are none."""
        return name in self.settings and self.settings[name].value not in (None, "")

    def value(self, name: str, read: Callable[[Any], Any] = reading.text) -> Any:
        """The variable as `read` takes it; None where it is not set, or was refused with a warning."""
        return self._read(name, self.settings[name], read) if self.is_set(name) else None

    def in_force(self, name: str) -> str:
        """The variable or, where it is not set, kubeadm-ha's default."""
        return self.value(name) or DEFAULTS[name]

    def put(self, name: str, path: str, value: Any) -> None:
        """Puts a value at a path like `network.podSubnet`, or `kubernetes.kubelet.evictionHard|memory.available`."""
        keys, _, dotted_key = path.partition("|")
        *above, key = [*keys.split("."), *filter(None, [dotted_key])]
        place = self.tree
        for step in above:
            place = place.setdefault(step, {})
        merged = isinstance(value, dict) and isinstance(place.get(key), dict)
        place[key] = place[key] | value if merged else value
        self.origins.setdefault(path.partition(".")[0], []).append(name)

    def tell(self, name: str, message: str, hint: str = "", at: Setting | None = None) -> None:
        """Adds a warning about a variable."""
        setting = at or self.settings.get(name) or Setting(None)
        text = f"{name}: {message}"
        self.warnings.append(Problem(Severity.WARNING, text, file=setting.file, line=setting.line, hint=hint))

    def own_value(self, name: str, setting: Setting, read: Callable[[Any], Any]) -> Any:
        """As `value`, for a setting of one host."""
        return self._read(name, setting, read)

    def _read(self, name: str, setting: Setting, read: Callable[[Any], Any]) -> Any:
        try:
            return read(self._expanded(setting.value))
        except InvalidValueError as error:
            said = "this cannot be used" if is_secret_key(name) else str(error)
            self.tell(name, f"{said}; it is left out", error.hint, at=setting)
            return None

    def _expanded(self, value: Any) -> Any:
        """The value with every `{{ }}` in it worked out."""
        if isinstance(value, dict):
            return {self._expanded(key): self._expanded(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._expanded(item) for item in value]
        return _TEMPLATE.sub(self._word, value) if isinstance(value, str) else value

    def _word(self, found: "re.Match[str]") -> str:
        expression = " ".join(found[1].split())
        if expression in self._facts:
            return self._facts[expression]
        if expression in DEFAULTS and not self._refers_to_itself(expression):
            return self.in_force(expression)
        raise InvalidValueError(f"the template {quoted(found[0])} cannot be worked out here", "write the value itself")

    def _refers_to_itself(self, name: str) -> bool:
        return self.is_set(name) and "{{" in str(self.settings[name].value)


def facts_of(os_id: str, codename: str, version: str) -> Mapping[str, str]:
    """What kubeadm-ha's own templates ask of a machine and of the version."""
    release = ".".join(version.lstrip("v").split(".")[:2])
    return {
        "host_distribution | lower": os_id.lower(),
        "host_distribution_release": codename,
        "host_architecture": "amd64",
        "ansible_distribution_major_version": "$releasever",
        "kube_version.split('.')[0:2] | join('.')": release,
    }
