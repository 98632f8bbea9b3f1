import importlib

from mmengine.registry import DefaultScope


def register_all_modules(init_default_scope: bool = True) -> None:
    """Imports every room, which fills the registries.

    Args:
        init_default_scope: make ``mmseg`` the scope in which type names are looked up.
    """
    for room in ('datasets', 'models', 'evaluation', 'visualization', 'engine'):
        importlib.import_module(f'mmseg.{room}')
    if init_default_scope and (
        not DefaultScope.check_instance_created('mmseg') or DefaultScope.get_current_instance().scope_name != 'mmseg'
    ):
        DefaultScope.get_instance('mmseg', scope_name='mmseg')
