"""Segment images, folders, videos, streams: python tools/predict.py MODEL INPUT... --out DIR [options]."""

from command_line import run

if __name__ == '__main__':
    run('predict')
