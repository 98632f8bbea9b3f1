"""mmengine's message hub, which holds a run's log and facts, as plain data."""

from mmengine.logging import HistoryBuffer, MessageHub

from .writing import to_plain


def message_hub_state(hub: MessageHub) -> dict:
    """The log's history and runtime facts as plain data."""
    state = hub.state_dict()
    scalars = {
        key: dict(zip(('values', 'counts'), buffer.data, strict=True)) for key, buffer in state['log_scalars'].items()
    }
    return to_plain({**state, 'log_scalars': scalars})


def load_message_hub_state(hub: MessageHub, state: dict) -> None:
    """Restore what :func:`message_hub_state` returned, or mmengine's own form of it."""
    scalars = {key: _history_buffer(value) for key, value in state['log_scalars'].items()}
    hub.load_state_dict({**state, 'log_scalars': scalars})


def _history_buffer(value: dict | HistoryBuffer) -> HistoryBuffer:
    if isinstance(value, HistoryBuffer):
        return value
    return HistoryBuffer(value['values'].numpy(), value['counts'].numpy())
