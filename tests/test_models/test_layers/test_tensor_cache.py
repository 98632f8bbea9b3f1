import torch

from mmseg.models.layers.tensor_cache import held, tensor_cache


def test_what_was_asked_for_inside_is_held():
    made = []

    @tensor_cache
    def ones(count):
        made.append(count)
        return torch.ones(count)

    with torch.inference_mode(), held() as outer:
        first = ones(2)
        with held() as inner:
            assert ones(2) is first and ones(3) is not first
        ones(4)
    ones(5)
    assert [len(x) for x in inner] == [2, 3] and [len(x) for x in outer] == [2, 2, 3, 4] and made == [2, 3, 4, 5]
    assert not first.is_inference()
