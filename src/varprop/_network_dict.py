"""A Network as plain dicts, lists, numbers and strings, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from varprop.activation import Activation
from varprop.architecture import Norm, Residual
from varprop.scheme import Scheme

if TYPE_CHECKING:
    from varprop.network import Network

_SCHEME_FIELDS = (
    "name",
    "distribution",
    "scale",
    "mode",
    "shape",
    "bias_scale",
    "bias_distribution",
)


def to_dict(network: Network) -> dict[str, Any]:
    """See `Network.to_dict`."""
    return {
        "depth": network.depth,
        "width": network.width,
        "widths": None if network.width is not None else list(network.widths),
        "act": _list_if_many([_act_to_dict(act) for act in network.distinct_acts]),
        "scheme": _list_if_many([_scheme_to_dict(s) for s in network.distinct_schemes]),
        "sigma_b": network.sigma_b,
        **{
            name: value if name == "dropout" else asdict(value)
            for name, value in network.extras().items()
        },
    }


def arguments(data: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `Network` in a dict that `to_dict` made; ValueError where it isn't one."""
    keys = {"depth", "width", "widths", "act", "scheme", "sigma_b"}
    given = set(data) if isinstance(data, Mapping) else set()
    if not keys <= given <= keys | {"residual", "norm", "dropout"}:
        shown = sorted(map(str, given)) or type(data).__name__
        raise ValueError(f"a network's dict has the keys {sorted(keys)}, not {shown}")
    return {
        **{name: data[name] for name in ("depth", "width", "widths", "sigma_b")},
        "act": _of_each(data["act"], _act_of),
        "scheme": _of_each(data["scheme"], _scheme_of),
        "residual": _record_of(Residual, data.get("residual")),
        "norm": _record_of(Norm, data.get("norm")),
        "dropout": data.get("dropout"),
    }


def _list_if_many(each: list[Any]) -> Any:
    return each if len(each) > 1 else each[0]


def _of_each(data: Any, of: Any) -> Any:
    return [of(one) for one in data] if isinstance(data, list) else of(data)


def _scheme_to_dict(scheme: Scheme) -> dict[str, Any]:
    return {name: getattr(scheme, name) for name in _SCHEME_FIELDS}


def _act_to_dict(act: Activation) -> Any:
    if act.formula is not None:
        return str(act)
    return {"callable": act.name, "fingerprint": act.fingerprint}


def _act_of(act: Any) -> Any:
    if not isinstance(act, Mapping):
        return act
    if set(act) != {"callable", "fingerprint"} or not all(
        isinstance(value, str) for value in act.values()
    ):
        raise ValueError(
            f"an activation's dict has a name under 'callable' and a 'fingerprint', "
            f"not {dict(act)!r}"
        )
    return Activation.placeholder(act["callable"], act["fingerprint"])


def _scheme_of(scheme: Any) -> Scheme:
    if not isinstance(scheme, Mapping) or set(scheme) != set(_SCHEME_FIELDS):
        raise ValueError(f"a scheme's dict has the keys {list(_SCHEME_FIELDS)}, not {scheme!r}")
    return Scheme(**scheme)


def _record_of(kind: type[Any], data: Any) -> Any:
    if data is None:
        return None
    names = {field.name for field in fields(kind)}
    if not isinstance(data, Mapping) or set(data) != names:
        raise ValueError(f"the dict of a {kind.__name__} has the keys {sorted(names)}, not {data}")
    return kind(**data)
