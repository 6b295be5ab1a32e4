"""Network: everything is checked once, when it is made."""

import json
import pickle

import numpy as np
import pytest

from varprop.activation import Activation, activations
from varprop.network import Network
from varprop.scheme import Scheme, schemes


def test_defaults():
    network = Network(200)
    assert (network.depth, network.width, network.sigma_b) == (200, 1000, 0.0)
    assert network.widths == (1000,) * 201
    assert network.act == Activation.named("relu")
    assert network.scheme == Scheme.named("he")
    assert not network.has_bias
    np.testing.assert_array_equal(network.weight_variance, np.full(200, 0.002))
    np.testing.assert_array_equal(network.sigma_w, np.full(200, np.sqrt(2)))
    np.testing.assert_array_equal(network.bias_std, np.zeros(200))
    assert repr(network) == "Network(depth=200, width=1000, act='relu', scheme='he')"


def test_unequal_widths():
    network = Network(3, widths=[4, 8, 2, 16], act="tanh", scheme="xavier")
    assert network.width is None
    assert network.widths == (4, 8, 2, 16)
    np.testing.assert_allclose(network.weight_variance, [2 / 12, 2 / 10, 2 / 18], rtol=1e-15)
    np.testing.assert_allclose(network.sigma_w**2, [8 / 12, 16 / 10, 4 / 18], rtol=1e-15)
    orthogonal = Network(3, widths=[4, 8, 2, 16], scheme="orthogonal(3)")
    np.testing.assert_allclose(orthogonal.weight_variance, [9 / 8, 9 / 8, 9 / 16], rtol=1e-15)


def test_biases():
    torch = Network(2, widths=[4, 9, 16], scheme="torch")
    assert torch.sigma_b is None
    assert torch.has_bias
    assert torch.bias_distribution == "uniform"
    np.testing.assert_allclose(torch.bias_std, np.sqrt([1 / 12, 1 / 27]), rtol=1e-15)
    none = Network(2, 5, scheme="torch", sigma_b=0)
    assert not none.has_bias
    assert "sigma_b=0.0" in repr(none)
    own = Network(2, 5, scheme="torch", sigma_b=0.5)
    assert (own.has_bias, own.bias_distribution) == (True, "normal")
    np.testing.assert_array_equal(own.bias_std, [0.5, 0.5])
    assert own != torch


def test_sigma_w():
    network = Network(3, 10, act="tanh", sigma_w=1.5, sigma_b=0.1)
    assert network.scheme == Scheme.parse("normal, 2.25/fan_in")
    np.testing.assert_allclose(network.sigma_w, 1.5, rtol=1e-15)
    assert "scheme='sigma_w=1.5', sigma_b=0.1" in repr(network)
    for extreme in (1e-150, 1e150):
        np.testing.assert_allclose(Network(1, 2**30, sigma_w=extreme).sigma_w, extreme, rtol=1e-14)


def test_kumar_knows_the_activation():
    assert Network(2, act="sigmoid", scheme="kumar").scheme.scale == pytest.approx(12.8)
    with pytest.raises(ValueError, match="kumar"):
        Network(2, act="relu", scheme="kumar")


def test_is_a_value():
    network = Network(2, 3, act="leaky_relu(0.2)")
    same = Network(np.int64(2), widths=np.array([3, 3, 3]), act=Activation.parse("leaky_relu(.2)"))
    assert network == same
    assert hash(network) == hash(same)
    assert pickle.loads(pickle.dumps(network)) == network
    assert len({network, same, Network(2, 4), Network(3, 3), Network(2, 3)}) == 4
    with pytest.raises(AttributeError):
        network.depth = 3


def test_large_networks_cost_nothing():
    network = Network(2**31, 2**30)
    assert network == Network(2**31, 2**30)
    assert hash(network)
    assert "depth=2147483648" in repr(network)


def test_repr_of_many_widths_is_short():
    assert "(1, 2, 3, ..., 98, 99, 100)" in repr(Network(99, widths=range(1, 101)))
    assert "widths=(1, 2, 3)" in repr(Network(2, widths=[1, 2, 3]))


@pytest.mark.parametrize("act", activations(), ids=str)
def test_json_round_trip_of_every_activation(act):
    network = Network(2, 7, act=act, sigma_b=0.25)
    assert Network.from_dict(json.loads(json.dumps(network.to_dict()))) == network


@pytest.mark.parametrize("row", schemes(), ids=lambda row: row.name)
def test_json_round_trip_of_every_scheme(row):
    network = Network(2, widths=[1, 2, 3], act="tanh", scheme=row.name)
    again = Network.from_dict(json.loads(json.dumps(network.to_dict())))
    assert again == network
    assert repr(again) == repr(network)


@pytest.mark.parametrize(
    "options",
    [
        {"act": "x*sigmoid(1.702*x)", "scheme": "student_t(5), 2/fan_out"},
        {"sigma_w": 0.1 + 0.2},
        {"scheme": "uniform(-0.3, 0.3)", "sigma_b": 1e-150},
        {"scheme": Scheme("mine", "sparse", 1 / 3, "fan_avg", 0.1, 0.7, "uniform")},
    ],
)
def test_json_round_trip_of_the_rest(options):
    network = Network(2, 5, **options)
    assert Network.from_dict(json.loads(json.dumps(network.to_dict()))) == network


def test_a_callable_is_kept_by_name_and_fingerprint():
    network = Network(2, 5, act=(np.tanh, lambda x: 1 / np.cosh(x) ** 2))
    data = json.loads(json.dumps(network.to_dict()))
    assert data["act"] == {"callable": "tanh", "fingerprint": network.act.fingerprint}
    again = Network.from_dict(data)
    assert again == network
    data["act"]["fingerprint"] = Network(2, 5, act=(np.sin, np.cos)).act.fingerprint
    assert Network.from_dict(data) != network
    assert "'tanh'" in repr(again)
    with pytest.raises(ValueError, match="was a Python callable"):
        again.act([1.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth must be from 1"),
        ({"depth": -3}, "depth must be from 1"),
        ({"depth": 2**31 + 1}, "2147483648"),
        ({"width": 0}, "width must be from 1"),
        ({"width": 2**30 + 1}, "1073741824"),
        ({"widths": [1, 2]}, "depth + 1 = 3"),
        ({"widths": [1, 0, 2]}, "widths[1] must be from 1"),
        ({"width": 3, "widths": [3, 3, 3]}, "not both"),
        ({"act": "rellu"}, "did you mean 'relu'"),
        ({"scheme": "hee"}, "did you mean 'he'"),
        ({"scheme": "he", "sigma_w": 1.0}, "give one"),
        ({"sigma_w": 0}, "sigma_w must be"),
        ({"sigma_w": -1}, "sigma_w must be"),
        ({"sigma_w": np.nan}, "sigma_w must be"),
        ({"sigma_w": np.inf}, "sigma_w must be"),
        ({"sigma_w": 1e-151}, "sigma_w must be"),
        ({"sigma_w": "1"}, "sigma_w must be"),
        ({"sigma_b": -1}, "sigma_b must be 0 or"),
        ({"sigma_b": np.nan}, "sigma_b must be 0 or"),
        ({"sigma_b": np.inf}, "sigma_b must be 0 or"),
        ({"depth": None}, "depth is missing"),
        ({"depth": None, "widths": [3]}, "widths must have depth + 1 = 2 numbers"),
        ({"sigma_b": 1e-200}, "sigma_b must be 0 or"),
    ],
)
def test_bad_values(options, message):
    with pytest.raises(ValueError, match=r".") as caught:
        Network(**{"depth": 2, **options})
    assert message.lower() in str(caught.value).lower()


@pytest.mark.parametrize(
    "options",
    [
        {"depth": 2.0},
        {"depth": True},
        {"depth": "2"},
        {"depth": np.float64(2)},
        {"depth": np.True_},
        {"width": 3.5},
        {"width": False},
        {"widths": 3},
        {"depth": None, "widths": 3},
        {"widths": "333"},
        {"widths": [1, 2.0, 3]},
        {"widths": iter([1, 2, 3])},
        {"act": None},
        {"act": np.tanh},
        {"scheme": 3},
        {"sigma_b": "0"},
        {"sigma_b": True},
    ],
)
def test_bad_types(options):
    with pytest.raises(TypeError):
        Network(**{"depth": 2, **options})


@pytest.mark.parametrize(
    "change",
    [
        {"depth": 0},
        {"extra": 1},
        {"act": {"callable": 3}},
        {"act": {"formula": "x"}},
        {"scheme": "he"},
        {"scheme": {"name": "he"}},
        {"sigma_b": -1},
    ],
)
def test_bad_dicts(change):
    good = Network(2).to_dict()
    with pytest.raises(ValueError, match=r"."):
        Network.from_dict({**good, **change})
    with pytest.raises(ValueError, match="has the keys"):
        Network.from_dict({})
    with pytest.raises(ValueError, match="has the keys"):
        Network.from_dict([])
