"""
Why peeking breaks a t-test
===========================

Two variants, the same in everything; fifty looks on the way. How many experiments find a
difference that is not there?
"""

# %%
# A thousand experiments of 4,000 users each, and the z statistic of each at each look.
import numpy as np

from siamrec.experiments import AsymptoticCS, GroupSequential

rng = np.random.default_rng(1)
n_runs, n_users, n_looks = 1000, 2000, 50
looks = np.linspace(n_users // n_looks, n_users, n_looks).astype(int)
gap = rng.normal(size=(n_runs, n_users)) - rng.normal(size=(n_runs, n_users))
z = np.cumsum(gap, axis=1)[:, looks - 1] / np.sqrt(2 * looks)

# %%
# Three rules, each a bound on z at every look: the t-test's, which knows of one look only; that
# of a group-sequential test, for planned looks; and that of a confidence sequence, for any.
anytime = AsymptoticCS(planned=2 * n_users)
planned = GroupSequential(planned=2 * n_users, looks=tuple(looks / n_users))
bounds = {
    "t-test, read at every look": np.full(n_looks, 1.96),
    "group-sequential test": planned.bounds(0.05),
    "confidence sequence": np.array([anytime.multiplier(2 * n, 0.05) for n in looks]),
}
stopped = {
    name: np.maximum.accumulate(np.abs(z) > bound, axis=1).mean(axis=0)
    for name, bound in bounds.items()
}
for name, share in stopped.items():
    print(f"{name:<27} {share[0]:6.1%} after one look, {share[-1]:6.1%} after fifty")


# %%
# The picture: the share of experiments that have "found" something by each look.
class Picture:
    """Lines over looks, drawn as SVG."""

    colours = ("#d1495b", "#2e86ab", "#3b8f5a")

    def __init__(self, lines: dict[str, np.ndarray]) -> None:
        self.lines = lines

    def across(self, look: float) -> float:
        return 56 + 9.2 * look

    def down(self, share: float) -> float:
        return 250 - 560 * share

    def _repr_html_(self) -> str:
        return "".join(["<svg ", *self.parts(), "</svg>"])

    def parts(self) -> list[str]:
        title = "Share of experiments without a difference that were stopped as significant"
        parts = [
            'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 300" role="img" ',
            f'font-family="sans-serif" font-size="13" fill="#808080"><title>{title}</title>',
        ]
        for share in (0.0, 0.1, 0.2, 0.3, 0.4):
            y = self.down(share)
            parts.append(f'<path d="M56 {y:.0f}H516" stroke="#808080" stroke-opacity=".25"/>')
            parts.append(f'<text x="48" y="{y + 4:.0f}" text-anchor="end">{share:.0%}</text>')
        promised = self.down(0.05)
        parts.append(f'<path d="M56 {promised:.0f}H516" stroke="#808080" stroke-dasharray="4 4"/>')
        parts.append(f'<text x="60" y="{promised - 5:.0f}">the promised 5%</text>')
        for look in (1, 10, 20, 30, 40, 50):
            x = self.across(look)
            parts.append(f'<text x="{x:.0f}" y="270" text-anchor="middle">{look}</text>')
        parts.append('<text x="286" y="292" text-anchor="middle">looks</text>')
        for colour, (name, shares) in zip(self.colours, self.lines.items(), strict=True):
            points = " ".join(
                f"{self.across(look):.1f},{self.down(share):.1f}"
                for look, share in enumerate(shares.tolist(), start=1)
            )
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
            )
            y = self.down(float(shares[-1])) + 4
            label = f"{name}: {shares[-1]:.1%}"
            parts.append(f'<text x="524" y="{y:.0f}" fill="{colour}">{label}</text>')
        return parts


picture = Picture(stopped)
picture
