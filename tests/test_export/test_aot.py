"""AOTInductor's packages, which take a C++ compiler minutes."""

import pytest
import torch

from mmseg.apis import init_model
from mmseg.export import Export, Metadata, parity
from mmseg.runtimes.targets import open_file
from mmseg.zoo import config_file


@pytest.fixture
def model():
    torch.manual_seed(0)
    small = {'model.backbone.depths': (1, 1, 1, 1)}
    model = init_model(config_file('lrformer-n_scenes-128x128'), device='cpu', cfg_options=small)
    parity.draw_weights(model)
    return model


def test_takes_one_size(model, tmp_path):
    with pytest.raises(ValueError, match=r'a.pt2: aotinductor compiles for one height and width.* --size 512 512'):
        Export(model).write(tmp_path / 'a.pt2', 'aotinductor')
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_package_equals_the_model(model, tmp_path):
    work, path = Export(model, size=(65, 91)), tmp_path / 'a.pt2'
    metadata = work.write(path, 'aotinductor')
    _, run = open_file(path, 'aotinductor')
    for comparison in parity.compare(work, run, [(1, 65, 91), (3, 65, 91)], parity.drawn_pictures(2)):
        assert comparison.error < 1e-5 and comparison.equal > 0.999, comparison
    package = torch._inductor.aoti_load_package(str(path))
    assert Metadata.from_json(package.get_metadata()['lrformer'], 'a.pt2') == metadata
    assert list(tmp_path.iterdir()) == [path]
