"""A model by module."""

import torch
from torch import nn

from mmseg.analysis.summary import summarize


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.parts = nn.Sequential(nn.Conv2d(4, 2, 1), nn.Conv2d(2, 2, 1))
        self.parts[0].requires_grad_(False)

    def forward(self, x, mode='tensor'):
        return self.parts(self.stem(x)), x


def test_shapes_parameters_and_costs():
    with torch.device('meta'):
        table = summarize(Small(), (8, 6), depth=2)
    columns = [list(column.cells) for column in table.columns]
    rows = dict(zip(columns[0], zip(*columns[1:], strict=True), strict=True))
    assert rows['stem'] == ('Conv2d', '4x8x6', '112', 'all', '0.000 G')
    assert rows['parts.0'][:4] == ('Conv2d', '2x8x6', '10', '0') and rows['parts'][2:4] == ('16', '6')
    assert rows['(all)'][1] == '2x8x6, 3x8x6' and rows['(all)'][2] == '128'
