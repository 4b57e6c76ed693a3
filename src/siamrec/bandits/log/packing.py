"""Snapshots of a journal: packed, read back and merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec.bandits.log.journal import Picks
from siamrec.bandits.log.ledger import Early
from siamrec.bandits.log.snapshot import FORMAT, Snapshot
from siamrec.data.decisions import Decisions
from siamrec.errors import InvalidDataError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from siamrec.bandits._roster import Roster
    from siamrec.bandits.context import Context
    from siamrec.bandits.log.forgetting import FadingSums
    from siamrec.bandits.log.journal import Journal
    from siamrec.data.decisions import Decision
    from siamrec.typing import FloatArray

_PICKS = ("arm", "cell", "origin", "rank", "time", "propensity", "reward", "reward_time", "weight")


def pack(journal: Journal, header: Mapping[str, Any]) -> Snapshot:
    """Return a journal as a snapshot; `header` holds what the bandit adds."""
    ledger = journal.ledger
    ids = ledger.ids()
    arrays: dict[str, npt.NDArray[Any]] = {
        f"pick/{name}": ledger.column(name).copy() for name in _PICKS
    }
    arrays["pick/id"] = np.array(ids, dtype=np.str_)
    arrays["pick/first"] = np.array([ledger.first[id_] for id_ in ids], dtype=np.int64)
    if ledger.n_features:
        arrays["pick/features"] = np.array(ledger.features(np.arange(ledger.n_rows)))
    settled = []
    for worker, (horizon, memory) in journal.settled.items():
        settled.append({"worker": worker, "horizon": horizon})
        for key, sums in memory.buckets.items():
            for name, total in sums.items():
                arrays[f"settled/{len(settled) - 1}/{key}/{name}"] = total.copy()
    early = [
        [id_, reward.arm, reward.reward, reward.time, reward.weight]
        for id_, rewards in ledger.early.items()
        for reward in rewards
    ]
    whole = {
        "format": FORMAT,
        **header,
        "origins": list(journal.origins),
        "version": journal.version,
        "settled": settled,
        "early": early,
    }
    return Snapshot(whole, arrays)


def absorb(journal: Journal, state: Snapshot, arms: Roster) -> None:
    """Merge a snapshot into a journal: the union of both logs, then the fold anew.

    Settled sums of a worker are taken from whoever has seen that worker settle further, and
    its picks from before that horizon are dropped: they are inside the sums.

    Raises:
        InvalidDataError: If the journal needs the whole log and the snapshot has settled sums.
    """
    header, arrays = state.header, state.arrays
    if journal.reset is not None and header["settled"]:
        raise InvalidDataError(
            "A bandit with reset must have the whole log; the snapshot has settled a part of it."
        )
    places = np.array([_origin(journal, name) for name in header["origins"]], dtype=np.int64)
    _absorb_settled(journal, state)
    _absorb_picks(journal, arrays, places)
    _drop_settled(journal)
    for id_, arm, reward, time, weight in header["early"]:
        waiting = journal.ledger.early.setdefault(id_, [])
        one = Early(arm, reward, time, weight)
        if one not in waiting:
            waiting.append(one)
    journal.post_early([id_ for id_ in journal.ledger.early if id_ in journal.ledger.first], arms)
    journal.refold()
    journal.version = max(journal.version, int(header["version"])) + 1


def same_kind(mine: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Check that a snapshot comes from the same bandit.

    Raises:
        InvalidDataError: If a setting that gives the state its meaning differs.
    """
    for name in ("name", "policy", "factors", "half_life", "window", "n_features"):
        if mine[name] != other.get(name):
            raise InvalidDataError(
                f"The snapshot must be of the same {name}: here {shown(mine[name])}, "
                f"there {shown(other.get(name))}."
            )
    short, long = sorted((mine["arms"], other["arms"]), key=len)
    if long[: len(short)] != short:
        raise InvalidDataError(
            f"The snapshot has other arms: here {mine['arms']}, there {other['arms']}."
        )


def picks_of(
    decisions: Decision | Decisions,
    context: Context,
    arms: Roster,
    vectors: FloatArray | None,
) -> Picks:
    """Return decisions made elsewhere as picks in our codes.

    Raises:
        InvalidDataError: If a cell is out of range.
        UnknownNameError: If an arm, factor or level is not known.
    """
    if isinstance(decisions, Decisions):
        if decisions.cell.size and not (
            decisions.cell.min() >= 0 and decisions.cell.max() < context.n_cells
        ):
            raise InvalidDataError(f"cell must be below {context.n_cells}, the number of cells.")
        codes = np.array([arms.code(name) for name in decisions.arms], dtype=np.int64)
        return Picks(
            ids=[str(id_) for id_ in decisions.id.tolist()],
            arm=codes[decisions.arm],
            cell=decisions.cell.astype(np.int64),
            rank=np.zeros(len(decisions), dtype=np.int64),
            time=decisions.time,
            propensity=decisions.propensity,
            features=vectors,
        )
    n = len(decisions.arms)
    return Picks(
        ids=[decisions.id],
        arm=np.array([arms.code(name) for name in decisions.arms]),
        cell=np.full(n, context.cell(decisions.context)),
        rank=np.arange(n),
        time=np.full(n, decisions.time),
        propensity=np.array(decisions.propensities),
        features=None if vectors is None else np.repeat(vectors, n, axis=0),
    )


def _origin(journal: Journal, worker: str) -> int:
    if worker not in journal.origins:
        journal.origins.append(worker)
    return journal.origins.index(worker)


def _absorb_settled(journal: Journal, state: Snapshot) -> None:
    for place, entry in enumerate(state.header["settled"]):
        worker, horizon = entry["worker"], int(entry["horizon"])
        if worker in journal.settled and journal.settled[worker][0] >= horizon:
            continue
        memory: FadingSums = journal.fresh_memory()
        prefix = f"settled/{place}/"
        for name, total in state.arrays.items():
            if name.startswith(prefix):
                key, field = name[len(prefix) :].split("/", 1)
                sums = memory.buckets.setdefault(int(key), {})
                sums[field] = np.array(total)
        memory.widen(journal.memory.space)
        journal.settled[worker] = (horizon, memory)


def _absorb_picks(
    journal: Journal, arrays: Mapping[str, npt.NDArray[Any]], places: npt.NDArray[Any]
) -> None:
    ledger = journal.ledger
    ids, first = arrays["pick/id"].tolist(), arrays["pick/first"]
    size = np.diff(np.append(first, arrays["pick/arm"].size))
    new = np.array([id_ not in ledger.first for id_ in ids], dtype=np.bool_)
    rows = np.flatnonzero(np.repeat(new, size))
    columns = {name: arrays[f"pick/{name}"] for name in _PICKS}
    for origin in np.unique(columns["origin"][rows]).tolist():  # workers, not picks
        part = rows[columns["origin"][rows] == origin]
        heads = columns["rank"][part] == 0
        names = dict(zip(first.tolist(), ids, strict=True))
        ledger.append(
            [names[row] for row in part[heads].tolist()],
            arm=columns["arm"][part],
            cell=columns["cell"][part],
            rank=columns["rank"][part],
            time=columns["time"][part],
            propensity=columns["propensity"][part],
            origin=int(places[origin]),
            features=arrays["pick/features"][part] if ledger.n_features else None,
        )
    mine = np.repeat([ledger.first[id_] for id_ in ids], size) + columns["rank"]
    given = np.flatnonzero(columns["reward_time"] != np.iinfo(np.int64).min)
    if given.size:
        ledger.post(
            mine[given].astype(np.int64),
            columns["reward"][given],
            columns["reward_time"][given],
            columns["weight"][given],
        )


def _drop_settled(journal: Journal) -> None:
    ledger = journal.ledger
    kept = np.ones(ledger.n_rows, dtype=np.bool_)
    for worker, (horizon, _) in journal.settled.items():
        origin = _origin(journal, worker)
        kept &= ~((ledger.column("origin") == origin) & (ledger.column("time") < horizon))
    if not kept.all():
        ledger.keep(kept)
