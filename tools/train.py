"""Train a model: python tools/train.py CONFIG [GPUS] [options]; --help lists them."""

from command_line import run

if __name__ == '__main__':
    run('train')
