"""A model by module: what it is, what it gives, how much it has and costs."""

from rich.table import Table
from torch import Tensor, nn

from .flops import count


def summarize(model: nn.Module, shape: tuple[int, int], depth: int) -> Table:
    """Kind, shape of the output, parameters (and those that learn) and multiply-adds of modules down to a depth.

    Args:
        model: on any device, 'meta' included.
        shape: H x W of the one image that goes through it.
        depth: levels of modules, of which 1 is the model's own parts.
    """
    learning = {name: sum(p.numel() for p in m.parameters() if p.requires_grad) for name, m in model.named_modules()}
    shapes: dict[nn.Module, str] = {}

    def note(module: nn.Module, inputs: tuple, output: object) -> None:
        shapes.setdefault(module, _shape(output))

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    try:
        macs = count(model, shape)
    finally:
        for hook in hooks:
            hook.remove()
    table = Table('module', 'kind', 'output')
    for heading in ('parameters', 'learn', 'multiply-adds'):
        table.add_column(heading, justify='right')
    for name, module in model.named_modules():
        parameters = sum(p.numel() for p in module.parameters())
        if name.count('.') < depth and parameters:
            learn = 'all' if learning[name] == parameters else f'{learning[name]:,}'
            row = (name or '(all)', type(module).__name__, shapes.get(module, ''), f'{parameters:,}', learn)
            table.add_row(*row, f'{macs[name] / 1e9:.3f} G')
    return table


def _shape(output: object) -> str:
    """Without the batch: '48x128x128', and of several maps one after the other."""
    if isinstance(output, Tensor):
        return 'x'.join(map(str, output.shape[1:]))
    if isinstance(output, (list, tuple)):
        return ', '.join(_shape(part) for part in output)
    return type(output).__name__
