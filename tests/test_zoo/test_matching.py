import pytest

from mmseg import zoo
from mmseg.zoo.matching import matching_files

PUBLISHED = {
    'lrformer-l-160k_ade20k_52.6.pth': 'lrformer-l-160k_ade20k',
    'LRFormer-T_ADE20K.pth': 'lrformer-t-160k_ade20k',
    'ade20k/lrformer_small_512x512.pth': 'lrformer-s-160k_ade20k',
    'ADE20K/LRFormer-B/iter_160000.pth': 'lrformer-b-160k_ade20k',
    'lrformer_large_in22k_ade20k_640.pth': 'lrformer-l-in22k-160k_ade20k-640x640',
    'mask2former/lrformer-t_ade20k.pth': 'lrformer-t-plus-160k_ade20k-512x512',
    'LRFormer-S+_ade_512x512.safetensors': 'lrformer-s-plus-160k_ade20k-512x512',
    'lrformer_base_plus_ade20k.pth': 'lrformer-b-plus-160k_ade20k-512x512',
    'lrformer-l-plus-22k-ade20k-640x640.pth': 'lrformer-l-plus-in22k-160k_ade20k-640x640',
    'lrformer_xl_m2f_in22k_ade20k_58.1.pth': 'lrformer-xl-plus-in22k-160k_ade20k-640x640',
    'coco-stuff/lrformer-t.pth': 'lrformer-t-80k_cocostuff164k',
    'lrformer-s-80k_cocostuff164k_46.4.pth': 'lrformer-s-80k_cocostuff164k',
    'LRFormer-B_COCOStuff.pth': 'lrformer-b-80k_cocostuff164k',
    'cityscapes/LRFormer-L.pth': 'lrformer-l-160k_cityscapes-1024x1024',
    'lrformer-t_city_1024x1024.pth': 'lrformer-t-160k_cityscapes-1024x1024',
}
BACKBONES = {
    'imagenet/LRFormer_tiny.pth': 'LRFormer_tiny',
    'lrformer-small-in1k.pth': 'LRFormer_small',
    'pretrained/LRFormer_large.pth': 'LRFormer_large',
    'LRFormer_large_in22k_1k.pth': 'LRFormer_large_in22k_1k',
    'lrformer_xl_in22k.pth': 'lrformer_xl_in22k_1k_89e',
}
FILES = [*PUBLISHED, *BACKBONES, 'README.md', 'lrformer-l-160k_ade20k.log', 'lrformer-t-160k_ade20k.py']


@pytest.mark.parametrize(('file', 'name'), PUBLISHED.items())
def test_variant_head_dataset_pretraining_and_size_tell_a_file(file, name):
    model = zoo.models()[name]
    assert matching_files(FILES, model.files, name, model.crop) == [file]


@pytest.mark.parametrize(('file', 'name'), BACKBONES.items())
def test_backbones_too(file, name):
    assert matching_files(FILES, [], name) == [file]


def test_another_size_is_another_model():
    name = 'lrformer-l-plus-in22k-160k_ade20k-640x640'
    files = ['lrformer-l-plus_in22k_ade20k_512x512.pth', 'lrformer-l-plus_in22k_ade20k_640x640.pth']
    assert matching_files(files, [], name, 640) == files[1:]
    assert matching_files(files[:1], [], name, 640) == []


def test_of_several_forms_safetensors_are_taken():
    files = ['lrformer-t_ade20k.pth', 'lrformer-t_ade20k.safetensors']
    assert matching_files(files, [], 'lrformer-t-160k_ade20k', 512) == files[1:]


def test_a_pattern_goes_before_what_names_tell():
    files = ['a/lrformer-t_ade20k.pth', 'b/lrformer-t_ade20k.pth', 'odd.pth']
    assert matching_files(files, ['odd.pth'], 'lrformer-t-160k_ade20k', 512) == ['odd.pth']
    assert matching_files(files, ['b/*'], 'lrformer-t-160k_ade20k', 512) == files[1:2]
    assert len(matching_files(files, [], 'lrformer-t-160k_ade20k', 512)) == 2
