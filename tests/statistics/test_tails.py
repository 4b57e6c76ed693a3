"""Tails against values from arithmetic with 60 digits (mpmath), near 1 and far out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from siamrec.errors import InvalidParameterError
from siamrec.statistics import chi_square_tail, log_beta_tail, two_sided_t, two_sided_z
from siamrec.statistics.tails import (
    deviate_of_t,
    normal_reach,
    one_sided_z,
    positive_p,
    reach_of_t,
    reaches_of_t,
    t_of_deviate,
)

STUDENT = (  # t, degrees of freedom, log p
    (0.001, 1, -0.00063682228843839838),
    (0.5, 1, -0.34979471750208644),
    (1, 1, -0.69314718055994531),
    (2, 1, -1.220213183944065),
    (5, 1, -2.0741283506868839),
    (20, 1, -3.4481474107799371),
    (60, 1, -4.5460198489606407),
    (100, 1, -5.0567862231665237),
    (0.001, 2, -0.00070735672219849572),
    (0.5, 2, -0.40546510810816438),
    (1, 2, -0.86121150251649055),
    (2, 2, -1.6955219791146437),
    (5, 2, -3.2767816881094169),
    (20, 2, -5.9952059806026325),
    (60, 2, -8.1891056850526824),
    (100, 2, -9.2104903582279325),
    (0.001, 5, -0.0007595015761194595),
    (0.5, 5, -0.44894865447833994),
    (1, 5, -1.0127535396638817),
    (2, 5, -2.2833759866018668),
    (5, 5, -5.4956187272525635),
    (20, 5, -12.061882890276812),
    (60, 5, -17.531293585853597),
    (100, 5, -20.08351868287),
    (0.001, 30, -0.00079157744829319674),
    (0.5, 30, -0.47687034344101399),
    (1, 30, -1.1229809612976544),
    (2, 30, -2.9072628024457494),
    (5, 30, -10.667199462146628),
    (20, 30, -41.8397100244368),
    (60, 30, -73.86769087746336),
    (100, 30, -89.115395300154105),
    (0.001, 1000, -0.00079800330150278541),
    (0.5, 1000, -0.48258633112184749),
    (1, 1000, -1.1471123779466134),
    (2, 1000, -3.084118854031681),
    (5, 1000, -14.20599990989079),
    (20, 1000, -171.29213548990827),
    (60, 1000, -766.58578654252123),
    (100, 1000, -1202.5800000769478),
    (0.001, 100000, -0.00079820091071714657),
    (0.5, 100000, -0.48276279810400452),
    (1, 100000, -1.1478668388210768),
    (2, 100000, -3.0899778242119515),
    (5, 100000, -14.370165875638371),
    (20, 100000, -202.82307810775217),
    (60, 100000, -1772.6599242871112),
    (100, 100000, -4770.2923991379876),
    (0.001, 1e07, -0.00079820288705681742),
    (0.5, 1e07, -0.48276456320433357),
    (1, 1e07, -1.1478743881925592),
    (2, 1e07, -3.0900365598183513),
    (5, 1e07, -14.371834357318492),
    (20, 1e07, -203.21998832211053),
    (60, 1e07, -1803.9963112963548),
    (100, 1e07, -5002.3322272061245),
    (0.001, 1e09, -0.00079820290682023885),
    (0.5, 1e09, -0.4827645808553799),
    (1, 1e09, -1.1478744636867506),
    (2, 1e09, -3.0900371471890478),
    (5, 1e09, -14.371851044867404),
    (20, 1e09, -203.22396799079312),
    (60, 1e09, -1804.3171717080359),
    (100, 1e09, -5004.8060566805854),
)
NORMAL = (  # z, log p
    (0.001, -0.00079820290701986937),
    (0.5, -0.4827645810336733),
    (0.999, -1.1463497296048326),
    (1, -1.1478744644493182),
    (1.5, -2.0127972202639445),
    (5, -14.37185121342878),
    (20, -203.22400819053732),
    (40, -803.91529483319384),
    (100, -5004.8310615136451),
)
CHI_SQUARE = (  # statistic, degrees of freedom, log p
    (0.1, 1, -0.28524553116967685),
    (1, 1, -1.1478744644493182),
    (10, 1, -6.4596124541501218),
    (100, 1, -52.538137969952525),
    (1500, 1, -753.88306710538243),
    (10000, 1, -5004.8310615136451),
    (0.1, 2, -0.050000000000000003),
    (1, 2, -0.5),
    (10, 2, -5.0),
    (100, 2, -50.0),
    (1500, 2, -750.0),
    (10000, 2, -5000.0),
    (0.1, 3, -0.0081960724953262699),
    (1, 3, -0.22157982843984867),
    (10, 3, -3.986416031734384),
    (100, 3, -47.913352111990124),
    (1500, 3, -746.56851515781951),
    (10000, 3, -4995.6205211816523),
    (0.1, 10, -2.497951339126391e-9),
    (1, 10, -0.00017213044355067018),
    (10, 10, -0.81986007761491303),
    (100, 10, -37.448385655751671),
    (1500, 10, -726.69242056615358),
    (10000, 10, -4969.1084809047044),
    (10, 100, -2.1810592140784888e-32),
    (100, 100, -0.73148957572927054),
    (1500, 100, -570.11469091388298),
    (10000, 100, -4727.2134312290656),
)
BETA = (  # a, b, x, log I_x(a, b)
    (5001, 5001, 0.3, -876.54975618686674),
    (3, 8, 0.2, -1.1325813383458678),
    (8001, 2001, 0.3, -5346.5835133889063),
    (2.5, 0.5, 0.9, -0.71418749456298721),
    (1, 50, 0.001, -3.0201403046806514),
    (2001, 8001, 0.2, -0.70115743435047867),
)


@pytest.mark.parametrize(("t", "freedom", "log_p"), STUDENT)
def test_students_tail(t: float, freedom: float, log_p: float) -> None:
    p, found = two_sided_t(t, freedom)
    assert found == pytest.approx(log_p, rel=1e-9)
    assert 0 < p <= 1
    assert two_sided_t(-t, freedom) == (p, found)
    if log_p > -700:
        assert p == pytest.approx(math.exp(log_p), rel=1e-9)


@pytest.mark.parametrize(("z", "log_p"), NORMAL)
def test_the_normal_tail(z: float, log_p: float) -> None:
    p, found = two_sided_z(z)
    assert found == pytest.approx(log_p, rel=1e-9)
    assert p > 0
    assert two_sided_t(z, math.inf) == (p, found)
    assert one_sided_z(z)[1] == pytest.approx(log_p - math.log(2), rel=1e-9)


@pytest.mark.parametrize(("statistic", "freedom", "log_p"), CHI_SQUARE)
def test_the_chi_square_tail(statistic: float, freedom: int, log_p: float) -> None:
    p, found = chi_square_tail(statistic, freedom)
    assert found == pytest.approx(log_p, rel=1e-9)
    assert p > 0


@pytest.mark.parametrize(("a", "b", "x", "log_share"), BETA)
def test_the_tail_of_a_beta(a: float, b: float, x: float, log_share: float) -> None:
    assert log_beta_tail(a, b, x) == pytest.approx(log_share, rel=1e-9)


def test_ends() -> None:
    assert two_sided_t(0.0, 3) == (1.0, 0.0)
    assert two_sided_z(0.0) == (1.0, 0.0)
    assert chi_square_tail(5.0, 0) == (1.0, 0.0)
    assert log_beta_tail(2, 3, 0.0) == -math.inf
    assert log_beta_tail(2, 3, 1.0) == 0.0
    least = float(np.nextafter(0, 1))
    assert positive_p(-1e9) == (least, -1e9)
    assert two_sided_t(1e200, 50)[0] == least
    assert math.isfinite(two_sided_t(1e200, 50)[1])


def test_quantiles_by_hand() -> None:
    assert normal_reach(0.05) == pytest.approx(1.959963984540054)
    assert reach_of_t(1, 0.05) == pytest.approx(12.706204736)
    assert reach_of_t(0, 0.05) == math.inf


@given(
    freedom=st.floats(1.0, 1e6),
    deviate=st.floats(0.001, 20.0),
)
@settings(max_examples=200, deadline=None)
def test_deviates_go_both_ways(freedom: float, deviate: float) -> None:
    t = t_of_deviate(deviate, freedom)
    assert t >= deviate * (1 - 1e-9)
    assert deviate_of_t(t, freedom) == pytest.approx(deviate, rel=1e-6)
    assert deviate_of_t(-t, freedom) == pytest.approx(-deviate, rel=1e-6)
    if deviate < 6:
        assert stats.t.sf(t, freedom) == pytest.approx(stats.norm.sf(deviate), rel=1e-6)


def test_far_deviates_rise_and_do_not_overflow() -> None:
    for freedom in (1.0, 3.0, 50.0, 1e5):
        found = [deviate_of_t(t, freedom) for t in np.geomspace(1, 1e160, 60)]
        assert np.isfinite(found).all()
        assert t_of_deviate(60.0, freedom) > t_of_deviate(10.0, freedom)
    assert t_of_deviate(2000.0, 2.0) == np.inf


@given(st.floats(0, 100), st.floats(1, 1e9), st.floats(1.001, 2))
@settings(max_examples=100, deadline=None)
def test_p_falls_as_t_grows_and_as_freedom_grows(t: float, freedom: float, more: float) -> None:
    _, log_p = two_sided_t(t, freedom)
    slack = 1e-9 * abs(log_p) + 1e-15
    assert two_sided_t(t * more, freedom)[1] <= log_p + slack
    assert two_sided_t(t, freedom * more)[1] <= log_p + slack


def test_nan_stays_nan_and_infinity_is_the_least_p() -> None:
    for found in (
        *(two_sided_t(math.nan, freedom) for freedom in (5, 1e6, math.inf)),
        two_sided_z(math.nan),
        one_sided_z(math.nan),
        chi_square_tail(math.nan, 3),
        positive_p(math.nan),
    ):
        assert np.isnan(found).all()
    least = (float(np.nextafter(0, 1)), -math.inf)
    for freedom in (5, 1e6, math.inf):
        assert two_sided_t(math.inf, freedom) == two_sided_t(-math.inf, freedom) == least
    assert two_sided_z(math.inf) == chi_square_tail(math.inf, 3) == least


@pytest.mark.parametrize("freedom", [0, -1])
def test_students_tail_needs_freedom(freedom: float) -> None:
    with pytest.raises(InvalidParameterError, match="freedom"):
        two_sided_t(2.0, freedom)


def test_reaches_of_t_are_those_of_each_freedom() -> None:
    freedom = np.array([-1.0, 0.0, 0.5, 3.0, 1e6])
    found = reaches_of_t(freedom, 0.05)
    assert found.tolist() == [reach_of_t(each, 0.05) for each in freedom.tolist()]
    assert found[:2].tolist() == [np.inf, np.inf]
    assert found[3] == pytest.approx(3.182446, abs=1e-6)
