from types import SimpleNamespace

from mmseg.engine.hooks import EvalProgressHook


def evaluation(images, batches):
    hook = EvalProgressHook(interval=1000)
    runner = SimpleNamespace(val_dataloader=SimpleNamespace(dataset=range(images)))
    hook.before_val_epoch(runner)
    for idx, size in enumerate(batches):
        hook.after_val_iter(runner, idx, outputs=[None] * size)
    hook.after_val_epoch(runner, {})


def test_images_are_counted_and_the_last_line_always_comes(capsys):
    evaluation(7, [3, 3, 1])
    assert 'validation: 7/7' in capsys.readouterr().out


def test_it_can_run_again_and_with_nothing(capsys):
    evaluation(0, [])
    evaluation(2, [1, 1])
    assert 'validation: 2/2' in capsys.readouterr().out
