"""What is known of a placement when it is asked whether its training is due."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from siamrec._core.clock import duration
from siamrec.errors import SiamrecError
from siamrec.lifecycle.measuring import measured
from siamrec.lifecycle.release import loaded_release
from siamrec.lifecycle.retraining import ACCURACY, Due, Facts, Figure, due, spoken_against
from siamrec.lifecycle.tracking import Tracker

if TYPE_CHECKING:
    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.placement import Placement
    from siamrec.lifecycle.release import Release
    from siamrec.lifecycle.retraining import Below, Drop
    from siamrec.typing import Instant

RETRAIN = "retrain"
"""Kind of the jobs that train a placement."""
_MOST = 1_000


def due_now(ground: Ground, config: Placement, now: Instant) -> tuple[Due, Facts]:
    """Return whether the training of a placement is due at an instant, and what says so."""
    facts = _facts(ground, config, now)
    return due(config.retraining, facts, now), facts


def _facts(ground: Ground, config: Placement, now: Instant) -> Facts:
    log, rules = ground.store, config.retraining
    if rules is None:
        return Facts()
    entries = [
        each
        for each in log.diary.read(config.name)
        if each.what == "trained" and each.body.get("variant") is None
    ]
    last = entries[-1] if entries else None
    trained = None if last is None else last.time
    jobs = log.jobs.list(kind=RETRAIN, placement=config.name, n=_MOST)
    over = [each for each in jobs if each.status in {"failed", "cancelled"}]
    failed = [each.changed for each in over if trained is None or each.changed > trained]
    active = log.versions.active(config.alias)
    facts = Facts(
        trained=trained,
        new_events=log.snapshots.after(0 if last is None else int(last.body.get("mark", 0))),
        made=None if active is None else log.versions.get(active).created,
        failures=len(failed),
        failed=max(failed, default=None),
        busy=any(each.status in {"waiting", "running"} for each in jobs),
        trainings=len(entries),
    )
    if spoken_against(rules, facts, now) is not None:
        return facts  # lists of a month are not counted for nothing
    if rules.below is not None:
        facts = facts._replace(below=_below(ground, config, rules.below, trained, now))
    if rules.drop is not None and active is not None:
        seen = _dropped(ground, config, rules.drop, active=active, trained=trained, now=now)
        facts = facts._replace(drop=seen)
    return facts


def _below(
    ground: Ground, config: Placement, rule: Below, trained: Instant | None, now: Instant
) -> Figure | None:
    since = max(now - duration("window", rule.window), trained or 0)
    if since >= now:
        return None
    if rule.metric != ACCURACY:
        return _figure(ground, config, rule.metric, (since, now))
    tracker = Tracker(ground, lambda version: _release(ground, version))
    found = tracker.accuracy(
        window=rule.window, min_per_item=rule.min_per_item or 1, by=("placement",), since=since
    )
    for row in found.rows:
        if row.slice == (config.name,):
            return Figure(row.accuracy, *row.interval, row.n)
    return None


def _dropped(
    ground: Ground,
    config: Placement,
    rule: Drop,
    *,
    active: str,
    trained: Instant | None,
    now: Instant,
) -> tuple[Figure, Figure] | None:
    """Return a metric of the release that serves, of its first window and of now."""
    begun = max(each.time for each in ground.registry.history(config.alias))
    window = duration("window", rule.window)
    since = max(now - window, begun + window, trained or 0)
    if since >= now:
        return None
    first = _figure(ground, config, rule.metric, (begun, begun + window), active)
    last = _figure(ground, config, rule.metric, (since, now), active)
    return None if first is None or last is None else (first, last)


def _figure(
    ground: Ground,
    config: Placement,
    metric: str,
    time: tuple[Instant, Instant],
    version: str | None = None,
) -> Figure | None:
    """Return a metric of the lists of a time, of one release where told."""
    found = measured(
        ground,
        [metric],
        by=() if version is None else ("version",),
        placement=config.name,
        since=time[0],
        until=time[1],
        release=lambda each: _release(ground, each),
        age=lambda each: ground.store.versions.get(each).created,
    )
    for levels, _, value, interval, n in found.rows:
        if levels == (() if version is None else (version,)) and math.isfinite(value):
            return Figure(value, *(interval or (value, value)), n)
    return None


def _release(ground: Ground, version: str) -> Release:
    return loaded_release(version, ground.registry)


def told_due(ground: Ground, config: Placement) -> str | None:
    """Return in words whether the training of a placement is due; None without rules."""
    if config.retraining is None:
        return None
    try:
        return due_now(ground, config, ground.now())[0].title()
    except SiamrecError as error:
        return f"cannot be told: {error}"
