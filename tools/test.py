"""Test a checkpoint: python tools/test.py CONFIG CHECKPOINT [GPUS] [options]; --help lists them."""

from command_line import run

if __name__ == '__main__':
    run('test')
