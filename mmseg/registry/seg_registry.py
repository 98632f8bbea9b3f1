"""mmengine's registry, whose message about an unknown type is one line and says what to write instead."""

from collections.abc import Mapping
from difflib import get_close_matches

from mmengine.registry import Registry

from .substitutes import SUBSTITUTES


class SegRegistry(Registry):
    def get(self, key: str):
        """What is registered under a name, None without."""
        try:
            return super().get(key)
        except RuntimeError:  # for a name that has dots, mmengine raises
            return None

    def build(self, cfg: Mapping, *args, **kwargs):
        """Builds what ``cfg['type']`` names.

        Raises:
            KeyError: nothing has that name; the message has the nearest that there is.
        """
        kind = cfg.get('type') if isinstance(cfg, Mapping) and '_scope_' not in cfg else None
        if isinstance(kind, str) and self.get(kind) is None:
            raise KeyError(f'{kind!r} is not in the {self.name} registry of {self.scope}{self._instead(kind)}')
        return super().build(cfg, *args, **kwargs)

    def _instead(self, kind: str) -> str:
        name = kind.rpartition('.')[2]
        if name in self.module_dict:
            return f'; {name!r} is'
        if name in SUBSTITUTES:
            return f'; in its place, take {SUBSTITUTES[name]}'
        names = {known.lower(): known for known in self.module_dict}
        near = get_close_matches(name.lower(), names, n=3, cutoff=0.5)
        return (
            f'; nearest to it {"is" if len(near) == 1 else "are"} {", ".join(names[n] for n in near)}' if near else ''
        )
