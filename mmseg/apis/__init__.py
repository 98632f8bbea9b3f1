from .hub import from_pretrained, push_to_hub, save_pretrained
from .inference import inference_model, init_model, show_result_pyplot
from .inferencer import MMSegInferencer
from .predict import predict

__all__ = [
    'MMSegInferencer',
    'from_pretrained',
    'inference_model',
    'init_model',
    'predict',
    'push_to_hub',
    'save_pretrained',
    'show_result_pyplot',
]
