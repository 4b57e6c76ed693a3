"""The adapter strategy from start to end: search, mix, train again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidParameterError, TrainingDivergedError
from siamrec.models.encoders import AdapterEncoder
from siamrec.models.training._adapter import Batches, Head, train_head
from siamrec.models.training._choose import merit
from siamrec.models.training._joined import joined
from siamrec.models.training._run import NEAR_ENOUGH, Probe, Run, Trained, chosen_share
from siamrec.models.training.config import WISE_FT_SHARES

if TYPE_CHECKING:
    from siamrec.models.training._choose import Slices
    from siamrec.typing import Float32Array


def tune_adapter(run: Run) -> Trained:
    """Return the tuned head: chosen without the hidden texts, then trained again with them.

    Raises:
        InvalidParameterError: If another loss is asked for, mined negatives, or a warm start from
            what is no head on this encoder.
        InvalidDataError: If the encoder's vectors are not finite.
        TrainingDivergedError: If the loss is not finite before the first evaluation.
    """
    if run.config.loss != "feedback-infonce":
        raise InvalidParameterError(
            "loss", run.config.loss, "'feedback-infonce' with the strategy 'adapter'"
        )
    if run.config.mine is not None:
        raise InvalidParameterError("mine", run.config.mine, "None with the strategy 'adapter'")
    start = _started(run)
    vectors = run.encoder.encode(run.material.texts)
    check.finite("vectors of the encoder", vectors)
    slices = run.slices()
    best, steps, total = _search(run, slices, vectors, start)
    probe = Probe.of(run)
    tuned, share, skills = _mixed(run, slices, vectors, best, probe)
    found = slices.measure(tuned.project(vectors))
    again = run.material.hidden.any() or (run.config.heads > 1 and start is None)
    if run.config.refit and again and not run.stopped:
        tuned = _refitted(run, vectors, start, steps=steps, total=total, share=share)
    previous = run.previous
    return Trained(
        encoder=tuned,
        base=slices.measure(vectors),
        found=found,
        steps=steps,
        share=share,
        retention=skills,
        drift=probe.moved(run.encoder.encode, tuned.encode),
        previous=None if previous is None else slices.measure(previous.encode(run.material.texts)),
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
    run: Run, slices: Slices, vectors: Float32Array, start: AdapterEncoder | None
) -> tuple[AdapterEncoder, int, int]:
    """Train without the hidden texts; return the chosen head, its step and the steps planned.

    The learning rate falls to zero, so of heads that validation cannot tell apart the latest is
    the calmest: the last one near the most merit is taken.
    """
    config, pairs = run.config, run.material.without_hidden()
    planned = int(config.of_strategy("epochs")) * len(
        Batches(pairs, config, np.random.default_rng(0))
    )
    total = min(planned, config.max_steps or planned)
    every = max(1, total // int(config.of_strategy("evaluations")))
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
        train_head(pairs, vectors, config, steps=total, after_step=after_step, start=start)
    except TrainingDivergedError as error:
        if not kept:
            raise
        run.stopped = f"stopped because training diverged: {error}"
        run.tell("warning", kept[-1][1], total, message=run.stopped)
    _, steps, chosen = next(entry for entry in reversed(kept) if entry[0] >= _enough(kept))
    return chosen, steps, total


def _enough(kept: list[tuple[float, int, AdapterEncoder]]) -> float:
    return NEAR_ENOUGH * max(value for value, _, _ in kept)


def _mixed(
    run: Run, slices: Slices, vectors: Float32Array, best: AdapterEncoder, probe: Probe
) -> tuple[AdapterEncoder, float, dict[str, float]]:
    """Return the best mix of base and tuned head, its share, and its general skill."""
    fixed = run.config.wise_ft
    shares = WISE_FT_SHARES[run.config.strategy] if fixed == "auto" else (fixed,)
    mixes = {share: best.towards(share) for share in shares}
    merits = {s: merit(slices.measure(mix.project(vectors))) for s, mix in mixes.items()}
    if run.config.retention is None:
        share = chosen_share(run, merits, {}, float("nan"))
        return mixes[share], share, {}
    queries, documents = run.encoder.encode(probe.queries), run.encoder.encode(probe.documents)
    read = dict(zip([*probe.queries, *probe.documents], [*queries, *documents], strict=True))

    def skill(mix: AdapterEncoder | None) -> float:
        def vectors_of(texts: object) -> Float32Array:
            rows = np.stack([read[text] for text in texts])  # type: ignore[attr-defined]
            return rows if mix is None else mix.project(rows)

        return probe.skill(vectors_of)

    base = skill(None)
    skills = {s: skill(mix) for s, mix in mixes.items()}
    share = chosen_share(run, merits, skills, base)
    floor = run.config.retention.floor(base)
    return mixes[share], share, {"base": base, "tuned": skills[share], "floor": floor}


def _refitted(
    run: Run,
    vectors: Float32Array,
    start: AdapterEncoder | None,
    *,
    steps: int,
    total: int,
    share: float,
) -> AdapterEncoder:
    """Train the chosen number of steps again, with the hidden texts, once for each head.

    A warm start goes on with one head, whose width is already that of all before it.
    """

    def after_step(done: int, loss: float, head: Head) -> bool:
        del loss, head
        return done >= steps

    pairs, config = run.material.train, run.config
    heads: list[AdapterEncoder] = []
    wanted = 1 if start is not None else config.heads
    for draw in range(wanted):
        if heads and run.halted():
            break
        drawn = replace(config, seed=config.seed if draw == 0 else _another(config.seed, draw))
        head = train_head(pairs, vectors, drawn, steps=total, after_step=after_step, start=start)
        heads.append(head.encoder(run.encoder))
        run.tell("step", steps, steps, message=f"head {len(heads)} of {wanted} with all texts")
    return joined(heads, vectors).towards(share)


def _another(seed: int, draw: int) -> int:
    return int(np.random.SeedSequence((seed, draw)).generate_state(1)[0])
