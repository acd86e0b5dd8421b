"""What parts of the ledger's policy files say about one another, as far as each can be read by itself.

A part with a wrong field is named by its field and left out here, so it hides nothing that the others get wrong. Dates
and names are compared also of a programme whose other fields are wrong.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import pairwise
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ccare.ledger.programmes import Funding, Pool, Programme

_Part = TypeVar("_Part", bound=BaseModel)


class _Dated(BaseModel):
    """Which dates a version of a programme rates, whatever else it says."""

    model_config = ConfigDict(extra="ignore", strict=True)

    name: str
    from_day: date = Field(alias="from")
    to_day: date | None = Field(default=None, alias="to")


def programme_mistakes(told: Mapping[str, Any], file: str) -> list[str]:
    """What pools and programmes of the content of ``file`` get wrong together."""
    found = [f"{file}: two pools have one name"] if _has_twins(_names(told)) else []
    pools = {pool.name: pool for pool in _parts(told, "pools", Pool)}
    for p in _parts(told, "programmes", Programme):
        where = f"{file}: {p.name} from {p.from_day}"
        for name, asset in sorted({(p.pool_of(rule), p.asset_of(rule)) for rule in p.rules}):
            pool = pools.get(name)
            if pool is None:
                # One that is declared in another way than a pool can be is named already.
                found += [f"{where}: pool {name} is not declared"] if name not in _names(told) else []
            elif (pool.programme, pool.asset) != (p.name, asset):
                found.append(f"{where}: pool {name} grants {pool.asset} to {pool.programme}")
        found += [f"{where}: {mistake}" for mistake in p.mistakes()]
    return found + [f"{file}: {mistake}" for mistake in _overlaps(list(_parts(told, "programmes", _Dated)))]


def funding_mistakes(
    told: Mapping[str, Any], funded: Mapping[str, Any], file: str, funding_file: str
) -> list[str]:
    """What fundings get wrong about the pools of ``file``, and about one another."""
    fundings, pools = list(_parts(funded, "fundings", Funding)), _names(told)
    found = [
        f"{funding_file}: {f.approval} funds {f.pool}, which {file} does not declare"
        for f in fundings
        if f.pool not in pools
    ]
    ends = {pool.name: pool for pool in _parts(told, "pools", Pool)}
    found += [
        f"{funding_file}: {f.approval} funds {f.pool} on {f.on}, after its last day, {ends[f.pool].to_day}"
        for f in fundings
        if f.pool in ends and not ends[f.pool].grants_on(f.on)
    ]
    keys = [f.business_key for f in fundings]
    return found + [
        f"{funding_file}: approval {key.rsplit('|', 1)[1]} is used twice"
        for key in sorted({k for k in keys if keys.count(k) > 1})
    ]


def _overlaps(dated: list[_Dated]) -> Iterator[str]:
    for name in sorted({p.name for p in dated}):
        versions = sorted((p for p in dated if p.name == name), key=lambda p: p.from_day)
        for one, other in pairwise(versions):
            if one.to_day is None or other.from_day <= one.to_day:
                yield f"versions of {name} from {one.from_day} and from {other.from_day} overlap"


def _parts(told: Mapping[str, Any], name: str, kind: type[_Part]) -> Iterator[_Part]:
    """Those of a list of tables that are right each by itself."""
    for part in _tables(told, name):
        try:
            yield kind.model_validate(part)
        except ValidationError:
            continue


def _names(told: Mapping[str, Any]) -> list[str]:
    """Names of all pools, right or wrong."""
    return [str(pool["name"]) for pool in _tables(told, "pools") if "name" in pool]


def _tables(told: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    listed = told.get(name)
    return [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []


def _has_twins(names: list[str]) -> bool:
    return len(set(names)) < len(names)
