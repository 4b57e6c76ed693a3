"""A guest of siamrec that offers one part of every kind, and listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siamrec.plugins import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

heard: list[tuple[str, Any]] = []
"""What the observer hooks heard, for the tests."""


@hookimpl
def siamrec_adjusters() -> Mapping[str, Any]:
    """Offer an adjuster of scores."""
    from siamrec_guest.rerank import Flatten

    return {"flatten": Flatten}


@hookimpl
def siamrec_encoders() -> Mapping[str, Any]:
    """Offer an encoder."""
    from siamrec_guest.encoder import Letters

    return {"letters": Letters}


@hookimpl
def siamrec_estimators() -> Mapping[str, Any]:
    """Offer an off-policy estimator."""
    from siamrec_guest.policy import Root

    return {"root": Root}


@hookimpl
def siamrec_exporters() -> Mapping[str, Any]:
    """Offer an export format."""
    from siamrec_guest.form import NOTED

    return {"noted": NOTED}


@hookimpl
def siamrec_feedback_sources() -> Mapping[str, Any]:
    """Offer a log in one file, which is a source and a sink."""
    from siamrec_guest.store import JsonLinesStore

    return {"json-lines": JsonLinesStore}


@hookimpl
def siamrec_file_formats() -> Mapping[str, Any]:
    """Offer a format of files."""
    from siamrec_guest.files import VOTES

    return {"guest-votes": VOTES}


@hookimpl
def siamrec_hashers() -> Mapping[str, Any]:
    """Offer a hasher."""
    from siamrec_guest.experiment import Sha256

    return {"sha256": Sha256}


@hookimpl
def siamrec_looking_rules() -> Mapping[str, Any]:
    """Offer a looking rule."""
    from siamrec_guest.experiment import ManyLooks

    return {"many-looks": ManyLooks}


@hookimpl
def siamrec_losses() -> Mapping[str, Any]:
    """Offer a loss, with the columns that it needs."""
    from siamrec_guest.loss import ABSOLUTE_COSINE

    return {"absolute-cosine": ABSOLUTE_COSINE}


@hookimpl
def siamrec_metrics() -> Mapping[str, Any]:
    """Offer a metric."""
    from siamrec_guest.metric import ListLength

    return {"list_length": ListLength}


@hookimpl
def siamrec_miners() -> Mapping[str, Any]:
    """Offer a miner."""
    from siamrec_guest.pairs import FirstTexts

    return {"first-texts": FirstTexts}


@hookimpl
def siamrec_pair_generators() -> Mapping[str, Any]:
    """Offer a pair generator."""
    from siamrec_guest.pairs import Neighbours

    return {"neighbours": Neighbours}


@hookimpl
def siamrec_policies() -> Mapping[str, Any]:
    """Offer a policy."""
    from siamrec_guest.policy import Softmax

    return {"softmax": Softmax}


@hookimpl
def siamrec_recommenders() -> Mapping[str, Any]:
    """Offer an arm."""
    from siamrec_guest.arm import Shuffled

    return {"shuffled": Shuffled}


@hookimpl
def siamrec_selectors() -> Mapping[str, Any]:
    """Offer a selector."""
    from siamrec_guest.rerank import SkipFirst

    return {"skip-first": SkipFirst}


@hookimpl
def siamrec_model_trained(version: str, result: Mapping[str, Any]) -> None:
    """Remember a tuned encoder."""
    del result
    heard.append(("trained", version))


@hookimpl
def siamrec_version_activated(change: Mapping[str, Any]) -> None:
    """Remember what an alias points at."""
    heard.append(("activated", change["alias"]))


@hookimpl
def siamrec_rolled_back(change: Mapping[str, Any]) -> None:
    """Remember a rollback."""
    heard.append(("rolled back", change["alias"]))


@hookimpl
def siamrec_experiment_decided(result: Mapping[str, Any]) -> None:
    """Remember a decision."""
    heard.append(("decided", result["decision"]))
