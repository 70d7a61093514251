"""Makes up a JSON value that conforms to a JSON schema: how the simulator answers a structured-output request.

It covers what structured outputs accept (objects, arrays, enums, unions, references, formats, bounds); a `pattern`
is beyond it. The same draw gives the same value.
"""

import math
from collections.abc import Sequence
from typing import Any

from batchflow.sim.draw import Draw, token
from batchflow.sim.shapes import Json, Object, listing, mapping, objects

_DEPTH = 12
_MOST = 1000
_FAR = 1e15
_VALUES = 5000
"""How many values an answer may hold: a schema can ask for more than there is memory."""
_FORMATS = ("date", "date-time", "time", "email", "uuid", "uri", "ipv4", "hostname", "duration")


def conforming(schema: Json, draw: Draw, words: Sequence[str]) -> Json:
    """A value that the schema accepts; strings are put together from `words`."""
    return _Maker(mapping(schema) or {}, draw, words).value(schema, 0)


class _Maker:
    def __init__(self, root: Object, draw: Draw, words: Sequence[str]) -> None:
        self._root = root
        self._draw = draw
        self._words = words or ("sample",)
        self._left = _VALUES

    def value(self, schema: Json, depth: int) -> Json:
        self._left -= 1
        if self._left < 0 or depth > 4 * _DEPTH:
            return None
        rules = self._resolve(mapping(schema) or {}, depth)
        if "const" in rules:
            return rules["const"]
        if choices := listing(rules.get("enum")):
            return self._pick(choices)
        for union in ("anyOf", "oneOf"):
            if branches := listing(rules.get(union)):
                return self.value(self._branch(branches, depth), depth)
        return self._typed(self._kind(rules, depth), rules, depth)

    def _typed(self, kind: str, rules: Object, depth: int) -> Json:
        match kind:
            case "object":
                return self._object(rules, depth)
            case "array":
                return self._array(rules, depth)
            case "string":
                return self._string(rules)
            case "integer":
                return self._integer(rules)
            case "number":
                return self._number(rules)
            case "boolean":
                return bool(self._draw.below(2))
            case _:
                return None

    def _resolve(self, rules: Object, depth: int) -> Object:
        for _ in range(_DEPTH):
            reference = rules.get("$ref")
            if not isinstance(reference, str):
                break
            rules = self._look_up(reference)
        for part in objects(rules.get("allOf")) if depth < _DEPTH else []:
            rules = _merge(rules, self._resolve(part, depth + 1))
        return rules

    def _look_up(self, reference: str) -> Object:
        node: Json = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                node = (mapping(node) or {}).get(step.replace("~1", "/").replace("~0", "~"))
        return mapping(node) or {}

    def _branch(self, branches: list[Any], depth: int) -> Json:
        simple = [branch for branch in branches if "$ref" not in (mapping(branch) or {})]
        return self._pick(simple) if depth >= _DEPTH // 2 and simple else self._pick(branches)

    def _kind(self, rules: Object, depth: int) -> str:
        named = rules.get("type")
        if isinstance(named, str):
            return named
        kinds = [kind for kind in listing(named) if isinstance(kind, str)]
        if depth >= _DEPTH and "null" in kinds:
            return "null"
        real = [kind for kind in kinds if kind != "null"]
        if real:
            return real[0]
        if kinds:
            return "null"
        if "properties" in rules:
            return "object"
        return "array" if "items" in rules else "string"

    def _object(self, rules: Object, depth: int) -> Object:
        properties = mapping(rules.get("properties")) or {}
        required = listing(rules.get("required"))
        names = [name for name in properties if depth < _DEPTH // 2 or name in required]
        names += [name for name in required if isinstance(name, str) and name not in properties]
        return {name: self.value(properties.get(name, {"type": "string"}), depth + 1) for name in names}

    def _array(self, rules: Object, depth: int) -> list[Any]:
        low = _bound(rules, "minItems", 0)
        high = _bound(rules, "maxItems", max(low, 3))
        count = (
            low if depth >= _DEPTH // 2 else self._draw.between(max(low, min(1, high)), max(low, min(high, low + 3)))
        )
        prefix = listing(rules.get("prefixItems"))
        items = rules.get("items", {"type": "string"})
        made: list[Any] = []
        for index in range(max(count, len(prefix))):
            item = self.value(prefix[index] if index < len(prefix) else items, depth + 1)
            if not (rules.get("uniqueItems") and item in made):
                made.append(item)
        return made

    def _string(self, rules: Object) -> str:
        kind = rules.get("format")
        if isinstance(kind, str) and kind in _FORMATS:
            return self._formatted(kind)
        low, high = _bound(rules, "minLength", 0), _bound(rules, "maxLength", _MOST)
        text = " ".join(self._pick(self._words) for _ in range(self._draw.between(2, 6)))
        while len(text) < low:
            text += " " + self._pick(self._words)
        return text[:high]

    def _formatted(self, kind: str) -> str:
        draw = self._draw
        day = f"20{draw.between(20, 26)}-{draw.between(1, 12):02}-{draw.between(1, 28):02}"
        hour = f"{draw.below(24):02}:{draw.below(60):02}:{draw.below(60):02}Z"
        code = f"{draw.bits():016x}{draw.bits():016x}"
        return {
            "date": day,
            "date-time": f"{day}T{hour}",
            "time": hour,
            "email": f"{token(draw.bits(), 6).lower()}@example.com",
            "uuid": f"{code[:8]}-{code[8:12]}-4{code[13:16]}-a{code[17:20]}-{code[20:32]}",
            "uri": f"https://example.com/{token(draw.bits(), 6).lower()}",
            "ipv4": f"192.0.2.{draw.below(256)}",
            "hostname": f"{token(draw.bits(), 6).lower()}.example.com",
            "duration": f"P{draw.between(1, 30)}D",
        }[kind]

    def _integer(self, rules: Object) -> int:
        step = _positive(rules.get("multipleOf")) or 1
        low, high = _range(rules)
        first = math.ceil(low / step)
        return int(self._draw.between(first, max(first, math.floor(high / step))) * step)

    def _number(self, rules: Object) -> float:
        step = _positive(rules.get("multipleOf"))
        if step:
            return self._integer(rules) if step >= 1 else 0.0
        low, high = _range(rules)
        return min(high, max(low, round(low + (high - low) * self._draw.share(), 2)))

    def _pick(self, choices: Sequence[Any]) -> Any:
        return choices[self._draw.below(len(choices))]


def _merge(rules: Object, more: Object) -> Object:
    merged = {**rules, **more}
    if "properties" in rules and "properties" in more:
        merged["properties"] = {**(mapping(rules["properties"]) or {}), **(mapping(more["properties"]) or {})}
    if "required" in rules and "required" in more:
        merged["required"] = [*listing(rules["required"]), *listing(more["required"])]
    return merged


def _bound(rules: Object, key: str, default: int) -> int:
    value = rules.get(key)
    return min(max(0, value), _MOST) if isinstance(value, int) else default


def _positive(value: Json) -> float | None:
    return value if isinstance(value, int | float) and value > 0 else None


def _range(rules: Object) -> tuple[float, float]:
    """The closed interval that minimum, maximum and their exclusive forms leave."""
    bottom = _limit(rules, "minimum", "exclusiveMinimum", 1)
    top = _limit(rules, "maximum", "exclusiveMaximum", -1)
    if bottom is None:
        bottom = 0.0 if top is None or top >= 0 else top - 100
    if top is None:
        top = max(100.0, bottom + 100)
    return bottom, max(bottom, top)


def _limit(rules: Object, key: str, exclusive: str, step: int) -> float | None:
    """An inclusive bound; of an exclusive one, the next whole number inside."""
    value = rules.get(exclusive)
    if isinstance(value, int | float):
        return max(-_FAR, min(_FAR, value + step))
    value = rules.get(key)
    return max(-_FAR, min(_FAR, value)) if isinstance(value, int | float) else None
