"""Each value of a config belongs to the file that states it."""

from mmengine.config import Config

from mmseg import zoo
from mmseg.engine.config.origins import leaves, lines, origins
from mmseg.engine.launch import load_config


def test_values_belong_to_the_nearest_file_that_states_them(tmp_path):
    (tmp_path / 'base').mkdir()
    (tmp_path / 'base' / 'low.py').write_text(
        'a = 1\nb = dict(c=2, d=[1, 2], e=dict())\nsize = 4\nlog_level = "INFO"\n'
    )
    (tmp_path / 'middle.py').write_text("_base_ = 'base/low.py'\nb = dict(c=3)\nf = _base_.size + 1\n")
    leaf = tmp_path / 'leaf.py'
    leaf.write_text("_base_ = ['middle.py']\nb = dict(d=[1, 5])\ng = None\n")
    places = {key: file.name for key, file in origins(leaf).items()}
    assert places == {
        'a': 'low.py', 'b.c': 'middle.py', 'b.d.0': 'low.py', 'b.d.1': 'leaf.py', 'b.e': 'low.py', 'size': 'low.py',
        'log_level': 'low.py', 'f': 'middle.py', 'g': 'leaf.py',
    }  # fmt: skip
    cfg = load_config(leaf, {'work_dir': 'here', 'log_level': 'DEBUG'})
    found = [tuple(part.strip() for part in line.rsplit('#', 1)) for line in lines(cfg)]
    assert ("log_level = 'DEBUG'", '--cfg-options') in found and ('b.d.0 = 1', 'base/low.py') in found
    assert ("work_dir = 'here'", '--cfg-options') in found
    assert any(line.endswith('# by default') for line in lines(load_config(leaf)))


def test_every_value_of_a_real_config_has_a_place():
    file = zoo.config_file('lrformer-n_scenes-128x128')
    assert origins(file).keys() == dict(leaves(Config.fromfile(file)._cfg_dict)).keys()
