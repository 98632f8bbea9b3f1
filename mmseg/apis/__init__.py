from .inference import inference_model, init_model, show_result_pyplot
from .inferencer import MMSegInferencer
from .predict import predict

__all__ = ['MMSegInferencer', 'inference_model', 'init_model', 'predict', 'show_result_pyplot']
