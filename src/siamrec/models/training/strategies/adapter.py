"""The adapter strategy from start to end: search, mix, train again."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidParameterError, TrainingDivergedError
from siamrec.models.encoders import AdapterEncoder
from siamrec.models.training.strategies.adapter_head import Batches, Head, train_head
from siamrec.models.training.strategies.joined_heads import joined
from siamrec.models.training.strategies.run import NEAR_ENOUGH, Probe, Run, Trained, chosen_share
from siamrec.models.training.validation.choosing import COLD, WARM, merit
from siamrec.models.training.validation.retention import reciprocal_rank

if TYPE_CHECKING:
    from siamrec.models.training.strategies.recipes import Adapter
    from siamrec.models.training.validation.choosing import Slices
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array


def tune_adapter(run: Run, recipe: Adapter) -> Trained:
    """Return the tuned head: chosen without the hidden texts, then trained again with them.

    What is measured is the head that is returned. Only figures on hidden texts are those of the
    searched head, for the refit has seen these texts; validation users take part in neither.

    Raises:
        InvalidParameterError: If a warm start is asked for from what is no head on this encoder.
        InvalidDataError: If the encoder's vectors are not finite, or retention is asked for and
            the texts are too short for it.
        TrainingDivergedError: If the loss is not finite before the first evaluation.
    """
    start = _started(run)
    probe = Probe.of(run)
    vectors = run.vectors(run.encoder)
    check.finite("vectors of the encoder", vectors)
    slices = run.slices()
    best, steps, total = _search(run, recipe, slices, vectors, start)
    skill = Skill(run.encoder, probe)
    share = _shared_out(run, slices, vectors, best, skill)
    tuned = best.towards(share)
    found = slices.measure(tuned.project(vectors))
    again = run.material.hidden.any() or (recipe.heads > 1 and start is None)
    whole = None
    if recipe.refit and again and not run.stopped:
        whole = _refitted(run, recipe, vectors, start, steps=steps, total=total)
    if whole is not None:
        share = _under_floor(run, whole, share, skill)
        tuned = whole.towards(share)
        found = {**found, WARM: slices.measure(tuned.project(vectors))[WARM]}
    previous = run.previous
    return Trained(
        encoder=tuned,
        base=slices.measure(vectors),
        found=found,
        steps=steps,
        share=share,
        retention=probe.figures(run, skill.base(), skill.of(tuned)),
        drift=probe.moved(run.encoder.encode, tuned.encode),
        previous=None if previous is None else slices.measure(run.vectors(previous)),
        before_refit=(COLD,) if whole is not None and COLD in found else (),
    )


def _started(run: Run) -> AdapterEncoder | None:
    """Return the head that a warm start goes on from."""
    if not run.config.warm_start:
        return None
    head = run.previous
    if not isinstance(head, AdapterEncoder) or head.base.fingerprint != run.encoder.fingerprint:
        raise InvalidParameterError(
            "previous", type(head).__name__, "an AdapterEncoder on the same base for a warm start"
        )
    return head


def _search(
    run: Run,
    recipe: Adapter,
    slices: Slices,
    vectors: Float32Array,
    start: AdapterEncoder | None,
) -> tuple[AdapterEncoder, int, int]:
    """Train without the hidden texts; return the chosen head, its step and the steps planned.

    The learning rate falls to zero, so of heads that validation cannot tell apart the latest is
    the calmest: the last one near the most merit is taken.
    """
    config, pairs = run.config, run.material.without_hidden()
    planned = recipe.epochs * len(Batches(pairs, recipe, np.random.default_rng(0)))
    total = min(planned, config.max_steps or planned)
    every = max(1, total // recipe.evaluations)
    kept: list[tuple[float, int, AdapterEncoder]] = []
    losses: list[float] = []
    since = 0
    run.tell("start", 0, total, message=f"adapter on {len(pairs)} pairs")

    def after_step(done: int, loss: float, head: Head) -> bool:
        nonlocal since
        losses.append(loss)
        if not run.halted() and done % every and done < total:
            return False
        candidate = head.encoder(run.encoder)
        value = run.record(
            done, total, float(np.mean(losses)), slices.measure(candidate.project(vectors))
        )
        losses.clear()
        kept.append((value, done, candidate))
        since = 0 if value >= _enough(kept) else since + 1
        return bool(run.stopped) or since >= config.early_stopping_patience

    try:
        train_head(
            pairs,
            vectors,
            recipe,
            seed=config.seed,
            steps=total,
            after_step=after_step,
            start=start,
        )
    except TrainingDivergedError as error:
        if not kept:
            raise
        run.stopped = f"stopped because training diverged: {error}"
        run.tell("warning", kept[-1][1], total, message=run.stopped)
    _, steps, chosen = next(entry for entry in reversed(kept) if entry[0] >= _enough(kept))
    return chosen, steps, total


def _enough(kept: list[tuple[float, int, AdapterEncoder]]) -> float:
    return NEAR_ENOUGH * max(value for value, _, _ in kept)


@final
class Skill:
    """General skill of heads on vectors of the probe that the base reads once."""

    def __init__(self, encoder: SiameseEncoder, probe: Probe) -> None:
        self._sides = [
            encoder.encode(texts) for texts in (probe.queries, probe.documents) if texts
        ]

    def base(self) -> float:
        """Return the skill of the base; NaN where there is nothing to measure it on."""
        return reciprocal_rank(*self._sides) if self._sides else float("nan")

    def of(self, head: AdapterEncoder) -> float:
        """Return the skill of a head; NaN where there is nothing to measure it on."""
        if not self._sides:
            return float("nan")
        return reciprocal_rank(*(head.project(side) for side in self._sides))


def _shared_out(
    run: Run, slices: Slices, vectors: Float32Array, best: AdapterEncoder, skill: Skill
) -> float:
    """Return the share of the tuned head in the best mix with the base."""
    mixes = {share: best.towards(share) for share in run.shares()}
    merits = {s: merit(slices.measure(mix.project(vectors))) for s, mix in mixes.items()}
    skills = {s: skill.of(mix) for s, mix in mixes.items()}
    return chosen_share(run, merits, skills, skill.base())


def _under_floor(run: Run, whole: AdapterEncoder, share: float, skill: Skill) -> float:
    """Return the largest share up to the chosen one at which the refitted head keeps the floor.

    Where none does, the one that keeps most; the verdict then says why not to ship.
    """
    retention = run.config.retention
    if retention is None:
        return share
    floor = retention.floor(skill.base())
    kept = {s: skill.of(whole.towards(s)) for s in run.shares() if s <= share}
    allowed = [s for s in kept if kept[s] >= floor]
    found = max(allowed) if allowed else max(kept, key=lambda s: (kept[s], -s))
    if found < share:
        run.tell(
            "choice",
            metrics={f"skill_at_wise_ft={s:g}": value for s, value in kept.items()},
            message=f"share {found:g} after the refit, for general skill",
        )
    return found


def _refitted(
    run: Run,
    recipe: Adapter,
    vectors: Float32Array,
    start: AdapterEncoder | None,
    *,
    steps: int,
    total: int,
) -> AdapterEncoder | None:
    """Train the chosen number of steps again, with the hidden texts, once for each head.

    A warm start goes on with one head, whose width is already that of all before it. A head that
    a request or the time budget cuts short, or that diverges, is left out, as are those after it;
    None when that is the first.
    """

    def after_step(done: int, loss: float, head: Head) -> bool:
        del loss, head
        return done >= steps or run.halted()

    pairs, seed = run.material.train, run.config.seed
    heads: list[AdapterEncoder] = []
    wanted = 1 if start is not None else recipe.heads
    for draw in range(wanted):
        if run.halted():
            break
        try:
            head = train_head(
                pairs,
                vectors,
                recipe,
                seed=seed if draw == 0 else _another(seed, draw),
                steps=total,
                after_step=after_step,
                start=start,
            )
        except TrainingDivergedError as error:
            run.stopped = f"stopped because training with all texts diverged: {error}"
            run.tell("warning", steps, steps, message=run.stopped)
        if run.stopped:
            break
        heads.append(head.encoder(run.encoder))
        run.tell("step", steps, steps, message=f"head {len(heads)} of {wanted} with all texts")
    return joined(heads, vectors) if heads else None


def _another(seed: int, draw: int) -> int:
    return int(np.random.SeedSequence((seed, draw)).generate_state(1)[0])
