import pytest
import torch

from mmseg.visualization.picture import picture_of


@pytest.mark.parametrize(
    ('values', 'shown'),
    [
        (torch.tensor([7, 200], dtype=torch.uint8), [7, 200]),  # as they are
        (torch.tensor([7.0, 200.0]), [7, 200]),
        (torch.tensor([0.0, 1.0]), [0, 255]),  # stretched
        (torch.tensor([-2.0, 2.0]), [0, 255]),
        (torch.tensor([0.0, 60000.0]), [0, 255]),
        (torch.tensor([0.0, 0.0]), [0, 0]),
    ],
)
@pytest.mark.parametrize('channels', [1, 2, 3, 5])
def test_inputs_of_any_range_and_number_of_channels_can_be_looked_at(values, shown, channels):
    picture = picture_of({}, (1, 2), values.expand(channels, 1, 2))
    assert picture.shape == (1, 2, 3) and picture[0].tolist() == [[value] * 3 for value in shown]


def test_padding_is_cut_off_and_size_is_what_is_asked_for():
    inputs = torch.zeros(3, 8, 8, dtype=torch.uint8)
    inputs[:, :4, :6] = 90
    picture = picture_of({'img_shape': (4, 6)}, (8, 12), inputs)
    assert picture.shape == (8, 12, 3) and (picture == 90).all()
