"""The names of bandit policies."""

from __future__ import annotations

from typing import Any

from siamrec._core.book import Book
from siamrec.bandits.policies.base import Policy

_HERE = "siamrec.bandits.policies"

POLICIES: Book[Policy[Any]] = Book(
    "policy",
    {
        "bayes-ucb": f"{_HERE}.ucb:BayesUCB",
        "beta-thompson": f"{_HERE}.thompson:BetaThompson",
        "epsilon-greedy": f"{_HERE}.simple:EpsilonGreedy",
        "exp3-ix": f"{_HERE}.adversarial:Exp3IX",
        "gamma-thompson": f"{_HERE}.amounts:GammaThompson",
        "hierarchical-beta": f"{_HERE}.hierarchical:HierarchicalBeta",
        "information-directed": f"{_HERE}.top_two:InformationDirected",
        "kl-ucb": f"{_HERE}.ucb:KLUCB",
        "linear-thompson": f"{_HERE}.linear:LinearThompson",
        "linear-ucb": f"{_HERE}.linear:LinearUCB",
        "logistic-thompson": f"{_HERE}.logistic:LogisticThompson",
        "normal-thompson": f"{_HERE}.amounts:NormalThompson",
        "top-two-thompson": f"{_HERE}.top_two:TopTwoThompson",
        "tsallis-inf": f"{_HERE}.adversarial:TsallisINF",
        "ucb1": f"{_HERE}.ucb:UCB1",
        "uniform": f"{_HERE}.simple:Uniform",
    },
    contract=Policy,
    recipes=Policy,
)
"""Every policy by the name that decisions carry."""
