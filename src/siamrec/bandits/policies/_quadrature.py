"""Exact probabilities of being best, by Gauss-Legendre quadrature on panels that follow the arms.

Every posterior is put on a scale where it is smooth and has one peak (logit for Beta, log for
Gamma). Panel ends are placed at fixed distances around each arm's peak, in units of its own
width, so that an arm with a million observations and one with none are both resolved. The
cumulative distribution comes from the same nodes through a constant matrix, which needs no
incomplete Beta function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core import special

if TYPE_CHECKING:
    from siamrec.typing import BoolArray, FloatArray

_N_NODES = 8
_HALF_NODES = (0.1834346424956498, 0.525532409916329, 0.7966664774136267, 0.9602898564975363)
_HALF_WEIGHTS = (0.362683783378362, 0.3137066458778873, 0.22238103445337448, 0.10122853629037626)
_NODES = np.array([*(-node for node in reversed(_HALF_NODES)), *_HALF_NODES])
_WEIGHTS = np.array([*reversed(_HALF_WEIGHTS), *_HALF_WEIGHTS])
"""Abramowitz and Stegun (1964), table 25.4: written out, for a computed one has a BLAS's bits."""


def _tail_matrix() -> FloatArray:
    """Return M with `M @ f(nodes)` = integral of f from each node to 1, exact to degree 7.

    The Legendre coefficients of f are `(2 d + 1) / 2 * sum_j w_j P_d(x_j) f(x_j)`.
    """
    legendre = np.polynomial.legendre
    matrix = np.zeros((_N_NODES, _N_NODES))
    for degree in range(_N_NODES):
        unit = np.eye(_N_NODES)[degree]
        whole = legendre.legint(unit)
        primitive = legendre.legval(1.0, whole) - legendre.legval(_NODES, whole)
        coefficient = (degree + 0.5) * _WEIGHTS * legendre.legval(_NODES, unit)
        matrix += primitive[:, None] * coefficient
    return matrix


_TAIL = _tail_matrix()
_REACH = np.array([0.8, 1.7, 2.7, 3.9, 5.5, 8.0])
"""Panel ends around a peak, in standard deviations."""
_TAIL_REACH = np.array([0.5, 1.5, 3.5, 8.0, 18.0, 34.0])
"""Panel ends along an exponential tail, in units of its decay length: e**-34 is 2e-15."""
_MANY = 8
"""Above this number of arms they share panels; below, finding out costs more than it saves."""
_AT_ONCE = 512
"""Panels integrated at once: small enough to stay in a core's nearest cache."""
_HEAVY_REACH = np.array([0.8, 1.7, 3.0, 6.0, 14.0, 40.0, 150.0, 1e3, 1e4, 1e6])
"""Panel ends along a polynomial tail, in units of the scale."""


@final
@dataclass(frozen=True, slots=True)
class Grid:
    """Densities and distribution functions of arms at common nodes.

    Attributes:
        mass: Density times quadrature weight, shape `(n, n_arms, n_nodes)`.
        below: Probability of lying below each node, same shape.
        node: The nodes on the scale of the family, shape `(n, n_nodes)`.
    """

    mass: FloatArray
    below: FloatArray
    node: FloatArray


def beta_grid(alpha: FloatArray, beta: FloatArray) -> Grid:
    """Return the grid of Beta posteriors, each `(n, n_arms)`, on the logit scale.

    With y = logit x the density is `exp(a y - (a + b) log(1 + e^y)) / B(a, b)`: analytic and
    log-concave for every a, b > 0.
    """
    peak = np.log(alpha) - np.log(beta)
    width = np.sqrt(1.0 / alpha + 1.0 / beta)
    left = width[..., None] * _REACH + _TAIL_REACH / alpha[..., None]
    right = width[..., None] * _REACH + _TAIL_REACH / beta[..., None]
    node, half = _panels(peak, left, right)
    soft = np.logaddexp(0.0, node)
    total = alpha + beta
    log_density = (
        alpha[..., None] * node[:, None]
        - total[..., None] * soft[:, None]
        - special.betaln(alpha, beta)[..., None]
    )
    return _grid(np.exp(log_density), node, half)


def normal_grid(mean: FloatArray, deviation: FloatArray) -> Grid:
    """Return the grid of normal posteriors, each `(n, n_arms)`."""
    reach = deviation[..., None] * _REACH
    node, half = _panels(mean, reach, reach)
    z = (node[:, None] - mean[..., None]) / deviation[..., None]
    density = np.exp(-0.5 * z * z) / (deviation[..., None] * np.sqrt(2 * np.pi))
    return _grid(density, node, half)


def student_grid(mean: FloatArray, scale: FloatArray, freedom: FloatArray) -> Grid:
    """Return the grid of Student posteriors, each `(n, n_arms)`."""
    reach = scale[..., None] * _HEAVY_REACH
    node, half = _panels(mean, reach, reach)
    z = (node[:, None] - mean[..., None]) / scale[..., None]
    nu = freedom[..., None]
    log_constant = (
        special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
    )
    density = np.exp(log_constant - (nu + 1) / 2 * np.log1p(z * z / nu)) / scale[..., None]
    return _grid(density, node, half)


def gamma_grid(shape: FloatArray, rate: FloatArray) -> Grid:
    """Return the grid of Gamma posteriors, each `(n, n_arms)`, on the log scale.

    With y = log x the density is `exp(k (y + log r) - r e^y) / Gamma(k)`. Its right tail falls
    faster than any exponential, its left one as `exp(k y)`.
    """
    peak = np.log(shape) - np.log(rate)
    width = 1.0 / np.sqrt(shape)
    left = width[..., None] * _REACH + _TAIL_REACH / shape[..., None]
    # The right half: e^z - 1 - z = q solved to first order at both ends.
    right = np.minimum(
        width[..., None] * _REACH,
        np.log1p(width[..., None] * _REACH + _TAIL_REACH / shape[..., None]),
    )
    node, half = _panels(peak, left, right)
    y = node[:, None] - peak[..., None]
    k = shape[..., None]
    log_density = k * (np.log(k) + y - np.exp(y)) - special.gammaln(k)
    return _grid(np.exp(log_density), node, half)


def best(grid: Grid) -> FloatArray:
    """Return, for each arm, the probability that its draw is the greatest: `(n, n_arms)`.

    P_a = ∫ f_a(x) ∏_{b≠a} F_b(x) dx.
    """
    others = _others(grid.below)
    shares: FloatArray = np.einsum("nkg,nkg->nk", grid.mass, others)
    return _normalised(shares, 1.0)


def top(grid: Grid, n: int) -> FloatArray:
    """Return, for each arm, the probability that its draw is among the `n` greatest.

    Arm a at x is among them when fewer than n of the others lie above x; the number above is
    Poisson-binomial, counted by a recursion over the arms.
    """
    n_arms = grid.below.shape[1]
    if n >= n_arms:
        return np.ones(grid.below.shape[:2])
    # ahead[j] = probability that exactly j others lie above, for each arm and node
    ahead = np.zeros((n, *grid.below.shape))
    ahead[0] = 1.0
    for rival in range(n_arms):
        under = np.repeat(grid.below[:, rival : rival + 1], n_arms, axis=1)
        under[:, rival] = 1.0
        shifted = ahead[:-1] * (1.0 - under)
        ahead *= under
        ahead[1:] += shifted
    shares: FloatArray = np.einsum("nkg,nkg->nk", grid.mass, ahead.sum(axis=0))
    return _normalised(shares, float(n))


def mean_given_best(grid: Grid, value: FloatArray) -> FloatArray:
    """Return `E[value(x_b) | arm a is best]` for every pair: shape `(n, a, b)`.

    Args:
        grid: Posteriors.
        value: The quantity at each node, shape `(n, n_nodes)`.
    """
    n, n_arms, _ = grid.mass.shape
    worth = grid.mass * value[:, None]
    # E[value; x_b < node]: whole panels before, and the part of its own panel.
    split = worth.reshape(n, n_arms, -1, _N_NODES)
    panel = split.sum(axis=3)
    inside = panel[..., None] - _tails(split / _WEIGHTS)
    partial = ((np.cumsum(panel, axis=2) - panel)[..., None] + inside).reshape(worth.shape)
    share = np.maximum(best(grid), np.finfo(float).tiny)
    result = np.empty((n, n_arms, n_arms))
    for winner in range(n_arms):
        for rival in range(n_arms):
            rest = np.delete(grid.below, [winner, rival], axis=1).prod(axis=1)
            part = (
                worth[:, winner] if winner == rival else grid.mass[:, winner] * partial[:, rival]
            )
            result[:, winner, rival] = (part * rest).sum(axis=1) / share[:, winner]
    return result


def spread(values: FloatArray, eligible: BoolArray) -> FloatArray:
    """Return `(n, number eligible)` values at their arms' places, zero elsewhere."""
    if eligible.all():
        return values
    whole = np.zeros((len(values), eligible.size))
    whole[:, eligible] = values
    return whole


def _panels(
    peak: FloatArray, left: FloatArray, right: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the nodes `(n, panels * nodes)` and half widths `(n, panels)` of all arms' panels."""
    ends = np.concatenate(
        [peak[..., None] - left, peak[..., None], peak[..., None] + right], axis=2
    )
    ends = np.sort(ends.reshape(len(peak), -1), axis=1)
    if peak.shape[1] > _MANY:
        ends = _thinned(ends, peak, left, right)
    half = np.diff(ends, axis=1) / 2
    middle = (ends[:, 1:] + ends[:, :-1]) / 2
    node = middle[..., None] + half[..., None] * _NODES
    return node.reshape(len(peak), -1), half


def _thinned(
    ends: FloatArray, peak: FloatArray, left: FloatArray, right: FloatArray
) -> FloatArray:
    """Drop panel ends that stand closer than the narrowest arm around them asks for.

    Many arms share panels: an arm is resolved when panels on its stretch are no wider than its
    own innermost one. Rows are filled up to one length with empty panels.
    """
    kept_rows = []
    for row in range(len(ends)):  # rounds; each has its own ends
        points = ends[row]
        inner = np.minimum(left[row, :, 0], right[row, :, 0])
        low, high = peak[row] - left[row, :, -1], peak[row] + right[row, :, -1]
        order = np.argsort(inner)
        # The narrowest arm whose stretch holds a point: arms are tried from the narrowest on.
        need = np.full(points.size, inner.max())
        open_ = np.ones(points.size, dtype=np.bool_)
        for arm in order.tolist():
            inside = open_ & (points >= low[arm]) & (points <= high[arm])
            need[inside] = inner[arm]
            open_ &= ~inside
            if not open_.any():
                break
        kept = [float(points[0])]
        for point, step in zip(points.tolist(), need.tolist(), strict=True):
            if point - kept[-1] >= step:
                kept.append(point)
        kept.append(float(points[-1]))
        kept_rows.append(kept)
    longest = max(map(len, kept_rows))
    return np.array([kept + [kept[-1]] * (longest - len(kept)) for kept in kept_rows])


def _grid(density: FloatArray, node: FloatArray, half: FloatArray) -> Grid:
    n, n_arms, _ = density.shape
    split = density.reshape(n, n_arms, -1, _N_NODES)
    step = half[:, None, :, None]
    mass = split * (step * _WEIGHTS)
    panel = mass.sum(axis=3)
    beyond = np.cumsum(panel[..., ::-1], axis=2)[..., ::-1]
    total = beyond[..., :1]
    above = _tails(split) * step + (beyond - panel)[..., None]
    scale = total[..., None]
    below = np.clip(1.0 - above / scale, 0.0, 1.0)
    return Grid((mass / scale).reshape(density.shape), below.reshape(density.shape), node)


def _tails(values: FloatArray) -> FloatArray:
    """Return the integral from each node to its panel's end, as `values @ _TAIL.T`."""
    panels = values.reshape(-1, _N_NODES)
    tails = np.empty_like(panels)
    for start in range(0, len(panels), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        tails[part] = np.einsum("ij,jm->im", _TAIL, np.ascontiguousarray(panels[part].T)).T
    return tails.reshape(values.shape)


def _others(below: FloatArray) -> FloatArray:
    """Return, for each arm, the product over all other arms."""
    ahead = np.ones_like(below)
    behind = np.ones_like(below)
    for arm in range(1, below.shape[1]):
        np.multiply(ahead[:, arm - 1], below[:, arm - 1], out=ahead[:, arm])
        np.multiply(behind[:, -arm], below[:, -arm], out=behind[:, -arm - 1])
    product: FloatArray = ahead * behind
    return product


def _normalised(shares: FloatArray, total: float) -> FloatArray:
    """The exact shares sum to `total`; what quadrature leaves over is spread in proportion."""
    clipped = np.maximum(shares, 0.0)
    scaled: FloatArray = clipped * (total / clipped.sum(axis=1, keepdims=True))
    return scaled
