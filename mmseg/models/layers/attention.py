"""The two branches of a transformer layer. Tokens are B x N x C.

Parameter names are ours; ``convert_published`` translates the published ones while weights load.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from .linear import Linear, linear_relu


class MultiheadAttention(nn.Module):
    """Scaled dot-product attention, B x N x C queries over B x S x C keys and values -> B x N x C.

    Args:
        dim: channels C.
        num_heads: attention heads; divides ``dim``.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'MultiheadAttention: {dim} channels do not split into num_heads={num_heads}')
        self.num_heads = num_heads
        self.q, self.k, self.v, self.proj = (Linear(dim, dim) for _ in range(4))
        # Published as one matrix for q, k and v, whose larger fan-out lowers Xavier's gain by this.
        for linear, gain in ((self.q, 0.5**0.5), (self.k, 0.5**0.5), (self.v, 0.5**0.5), (self.proj, 1.0)):
            nn.init.xavier_normal_(linear.weight, gain)
            nn.init.zeros_(linear.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, attend: Tensor | None = None) -> Tensor:
        """``attend``, B x N x S, is True where a query may look; every query needs one such place."""
        q, k, v = self.split_heads(self.q(query)), self.split_heads(self.k(key)), self.split_heads(self.v(value))
        mask = None if attend is None else attend[:, None]  # the same for all heads
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.proj(out.transpose(1, 2).flatten(2))

    def split_heads(self, tokens: Tensor) -> Tensor:
        """B x N x C -> B x heads x N x C/heads."""
        return tokens.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    @staticmethod
    def convert_published(state_dict: dict, prefix: str) -> None:
        """Splits the published projections at ``prefix`` and renames them, in place."""
        for kind in ('weight', 'bias'):
            if (merged := state_dict.pop(f'{prefix}attn.in_proj_{kind}', None)) is not None:
                for name, part in zip('qkv', merged.chunk(3), strict=True):
                    state_dict[f'{prefix}{name}.{kind}'] = part
            if (value := state_dict.pop(f'{prefix}attn.out_proj.{kind}', None)) is not None:
                state_dict[f'{prefix}proj.{kind}'] = value

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        self.convert_published(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)


class FFN(nn.Sequential):
    """Two linear layers with a ReLU between, B x N x C -> B x N x C.

    Args:
        dim: channels C.
        hidden_dim: channels between the layers.
    """

    compilable = True

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__(Linear(dim, hidden_dim), nn.ReLU(), Linear(hidden_dim, dim))
        for linear in (self[0], self[2]):
            nn.init.xavier_normal_(linear.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self[2](linear_relu(x, self[0].weight, self[0].bias))

    @staticmethod
    def convert_published(state_dict: dict, prefix: str) -> None:
        """Renames the published entries at ``prefix`` to ours, in place."""
        for published, ours in (('layers.0.0', '0'), ('layers.1', '2')):
            for kind in ('weight', 'bias'):
                if (value := state_dict.pop(f'{prefix}{published}.{kind}', None)) is not None:
                    state_dict[f'{prefix}{ours}.{kind}'] = value

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        self.convert_published(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)
