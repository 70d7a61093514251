"""Token estimates for reservations."""

import pytest

from batchflow.builtin.anthropic.weigh import BYTES_PER_TOKEN, weigh
from batchflow.model.remote import Weight


def test_requests_are_summed_up_by_model():
    params = [b'{"model":"a","max_tokens":10}', b'{"model":"b","max_tokens":5}', b'{"model":"a","max_tokens":30}']
    tokens = int(2 * len(params[0]) / BYTES_PER_TOKEN)
    assert weigh(params)[0] == Weight(model="a", requests=2, input_tokens=tokens, max_output_tokens=40)
    assert [weight.model for weight in weigh(params)] == ["a", "b"]


@pytest.mark.parametrize("params", [b'{"model":"a","max_tokens":"many"}', b'{"model":"a","max_tokens":null}'])
def test_a_request_the_api_will_refuse_stops_nobody(params):
    (weight,) = weigh([params])
    assert (weight.model, weight.requests, weight.max_output_tokens) == ("a", 1, 0)


@pytest.mark.parametrize("params", [b"{}", b'{"model":7}'])
def test_a_request_without_a_model_is_counted_under_no_name(params):
    assert [(weight.model, weight.requests) for weight in weigh([params])] == [("", 1)]
